"""Lines are scarce, or gone: the urgent calls first, never more than the lines, nobody forgotten."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator
from itertools import accumulate, pairwise
from pathlib import Path

import pytest
import pytest_asyncio

from alarm_core.people import ContactFields, ElderFields, NewDevice
from alarm_core.planbook import PlanBook
from alarm_core.store.people import People
from tests.live.world import DUTY, World

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]

LINES = 10
ALARMS = 300
QUIET = {"verify": {"calls": 0}}
"""The contact is called at once: one call for each alarm."""


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def crowded(state: Path) -> AsyncIterator[World]:
    world = World(state, max_channels=LINES, calls_per_second=50.0)
    await world.start()
    yield world
    await world.stop()


async def _district(world: World) -> dict[str, str]:
    """Elders with one contact each; returns each contact's number by the device."""
    people = People(world.database, PlanBook.load())
    numbers: dict[str, str] = {}
    for serial in range(ALARMS):
        kind = "smoke" if serial % 3 == 0 else "door"
        fields = ElderFields(reference=uuid.uuid4().hex, name="王桂兰", plan={kind: QUIET})
        elder = await people.add_elder(fields)
        number = f"138{serial:08d}"
        await people.add_contact(elder.id, ContactFields(name="女儿", number=number))
        device = f"{kind}-{serial}"
        await people.add_device(NewDevice(id=device, elder_id=elder.id, kind=kind))
        numbers[device] = number
    return numbers


async def test_three_hundred_alarms_on_ten_lines(crowded: World) -> None:
    world = crowded
    numbers = await _district(world)
    # Every contact picks up, presses 1 and hangs up; nobody is asked for the arrival while the test runs.
    await world.script_all(numbers.values(), "answer,wait:3,press:1,wait:1,hangup")
    doors = [device for device in numbers if device.startswith("door")]
    fires = [device for device in numbers if device.startswith("smoke")]

    began = time.monotonic()
    await world.signals(doors, kind="door")
    await world.signals(fires, kind="smoke")

    async def everybody_helped() -> bool:
        ((count,),) = await world.rows("SELECT count(*) FROM alarm WHERE state->'helpers' <> '{}'")
        return bool(count == ALARMS)

    await world.until(everybody_helped, "help for every alarm", 150)
    print(f"\n{ALARMS} alarms on {LINES} lines: {time.monotonic() - began:.1f} s")

    # The fires came last and were called first: no door is called between their arrival and the last of their calls.
    sql = "SELECT device_id, extract(epoch FROM opened_at)::float8 FROM alarm"
    arrived = max(at for device, at in await world.rows(sql) if device in fires)
    sql = """SELECT device_id, extract(epoch FROM min(placed_at))::float8 FROM call
             JOIN alarm ON alarm.id = alarm_id GROUP BY device_id"""
    placed = dict(await world.rows(sql))
    last_fire = max(placed[device] for device in fires)
    overtook = [device for device in doors if arrived + 0.5 < placed[device] < last_fire]
    assert overtook == []

    async def all_put_down() -> bool:
        return all(call.ended_at for call in world.phones.calls())

    await world.until(all_put_down, "the last call to end")
    steps = [step for call in world.phones.calls() for step in ((call.began_at, 1), (call.ended_at or 0.0, -1))]
    used = list(accumulate(change for _, change in sorted(steps)))
    assert max(used) <= LINES
    assert {call.number for call in world.phones.calls()} == set(numbers.values())
    await world.check_record()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def outside(state: Path) -> AsyncIterator[World]:
    """A world whose telephone network breaks."""
    world = World(state)
    await world.start()
    yield world
    await world.stop()


GOES = "ring:1,answer,wait:3,press:1,wait:3,press:15#,wait:1,hangup"


async def test_a_trunk_that_rejects_everything_uses_up_no_round(outside: World) -> None:
    world = outside
    home = await world.home("01", "01", phone="08")
    await world.script_all([*home.contacts, DUTY], "refuse:503")
    await world.signal(home.device)

    # Contacts and duty phone are tried again and again, more and more slowly, and the round does not move.
    await world.until_calls(home.contacts[1], 2)
    await world.until_calls(DUTY, 1)
    alarm = await world.alarm_of(home)
    assert alarm is not None
    assert (alarm.contacts.round, alarm.contacts.state, alarm.duty.state) == (1, "calling", "calling")
    tried = [call.began_at for call in world.phones.calls() if call.number in home.contacts]
    pauses = [after - before for before, after in pairwise(tried)]
    assert pauses == sorted(pauses)

    # The network is well again: so is the alarm, without anybody's doing.
    await world.script_all(home.contacts, GOES)
    await world.until_alarm(home, lambda a: a.helpers, "somebody to go", 40)
    await world.end_all()
    await world.check_record()


async def test_a_network_that_answers_nothing_at_all_never_silences_an_alarm(outside: World) -> None:
    world = outside
    home = await world.home("01", phone="")
    await world.script_all([*home.contacts, DUTY], GOES)
    with world.frozen("network"):
        await world.signal(home.device)
        # A trunk that says nothing looks like a phone that nobody picks up: the contacts' rounds go by.
        await world.until_alarm(home, lambda a: a.duty.state == "calling", "the duty phone's turn")
        alarm = await world.until_alarm(home, lambda a: not a.legs, "that call to fail as well")
        assert alarm.open
        assert "duty_next" in alarm.wakes
    await world.until_alarm(home, lambda a: a.helpers or a.duty.state == "taken", "a person to have it", 40)
    await world.end_all()
