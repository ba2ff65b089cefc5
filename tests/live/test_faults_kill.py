"""Servers and role processes are killed with -9 in the middle of many stories: every alarm still reaches its end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from alarm_core.alarm import Alarm
from service.app import Role
from tests.live.world import Home, World

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]

ROLES = tuple(role.value for role in Role)
SERVERS = ("postgres", "mosquitto", "asterisk")
VICTIMS = {
    **{name: (name,) for name in (*SERVERS, *ROLES)},
    "the whole service": ROLES,
    "the power": (*SERVERS, *ROLES),
}

PACE = 0.08
HELP = {"minute_seconds": 0.15 / PACE, "grace_seconds": 0.0, "pause_seconds": 1 / PACE, "report_seconds": 6 / PACE}
"""Fifteen minutes are two seconds; a helper is asked again after one."""
Plan = dict[str, dict[str, Any]]

PLAN: Plan = {
    "smoke": {
        "verify": {"ring_seconds": 1.5 / PACE},
        "contacts": {"rounds": 5, "ring_seconds": 4 / PACE},
        "help": HELP,
        "duty": {"check_seconds": 4 / PACE},
    }
}
UNHURRIED: Plan = {"smoke": {**PLAN["smoke"], "help": {"minute_seconds": 600}}}
"""Nobody is asked for their arrival while the test runs: who goes must call in."""

# The network gives up a phone that rings for long; a person hangs up when nobody speaks any more.
ELDER = "ring:12,refuse:480"
NEIGHBOUR = "ring:1,answer,wait:2,hangup"
DAUGHTER = "ring:1,answer,wait:3,press:1,wait:3,press:15#,wait:4,hangup"
ARRIVED = "wait:3,press:1,wait:3,press:1,wait:20,hangup"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def killed(state: Path) -> AsyncIterator[World]:
    """A process for each role, and the servers; every test kills some and leaves all running."""
    world = World(state, pace=PACE)
    await world.start(*ROLES)
    yield world
    await world.stop()


async def _home(world: World, plan: Plan) -> Home:
    """The elder does not pick up, the first contact's phone is busy, the second hangs up, the third goes."""
    home = await world.home("04", "07", "01", plan=plan)
    await world.script(home.phone, ELDER)
    await world.script(home.contacts[1], NEIGHBOUR)
    await world.script(home.contacts[2], DAUGHTER)
    return home


def _over(alarm: Alarm) -> bool:
    return alarm.outcome is not None and not alarm.legs


@pytest.mark.parametrize("victims", VICTIMS.values(), ids=VICTIMS.keys())
async def test_alarms_reach_their_end_whatever_is_killed(killed: World, victims: tuple[str, ...]) -> None:
    world = killed
    await world.until(world.ready, "the service to be ready")
    homes = [await _home(world, UNHURRIED if serial == 0 else PLAN) for serial in range(6)]
    *before, during = homes
    caller = before[0]

    for home in before:  # at the kill each is elsewhere in its story
        await world.signal_until_taken(home.device)
        await asyncio.sleep(1.2)
    began = time.monotonic()
    for victim in victims:
        await world.kill(victim)
    published = asyncio.create_task(world.signal_until_taken(during.device))
    await asyncio.sleep(0.7)
    for victim in victims:
        if victim in ROLES:
            await world.run(victim)
    await published

    await world.until_alarm(caller, lambda a: a.helpers and not a.legs, "somebody to go", 60)
    await world.until(world.ready, "the service to be ready again")
    await world.until_hung_up(caller.contacts[2])
    await world.phone_calls_in(caller.contacts[2], ARRIVED)
    ends = [(await world.until_alarm(home, _over, "the alarm to end", 60)).outcome for home in homes]
    print(f"\n{'+'.join(victims)}: the last alarm ended {time.monotonic() - began:.1f} s after the kill")
    # By the contacts, with at most one that the duty phone took while everything was down.
    assert set(ends) <= {"helped", "handled"}
    assert ends.count("helped") >= len(homes) - 1
    await world.check_record()


async def test_two_of_each_share_the_work_and_one_takes_over(killed: World) -> None:
    world = killed
    await world.until(world.ready, "the service to be ready")
    await world.run("worker", name="worker 2")
    await world.run("ami", name="ami 2")
    first = [await _home(world, PLAN) for _ in range(3)]
    for home in first:
        await world.signal(home.device)
    await asyncio.sleep(3)

    ((driver,),) = await world.rows("SELECT owner FROM node")
    await world.kill("ami")  # it drives: the second one only stands by
    then = [await _home(world, PLAN) for _ in range(3)]
    for home in then:
        await world.signal(home.device)
    for home in (*first, *then):
        alarm = await world.until_alarm(home, _over, "the alarm to end", 60)
        assert alarm.outcome == "helped"
    ((successor,),) = await world.rows("SELECT owner FROM node")
    assert successor != driver
    done_twice = "SELECT key FROM event WHERE type IN ('wake_due', 'call_placed') GROUP BY key HAVING count(*) > 1"
    assert await world.rows(done_twice) == []
    await world.check_record()
