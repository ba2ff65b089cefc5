"""Devices that fall silent, speak again, or run out of battery."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio

from tests.live.world import World

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(120)]


@pytest_asyncio.fixture(autouse=True, loop_scope="session")
async def quiet_end(world: World) -> AsyncIterator[None]:
    yield
    await world.end_all()


async def test_a_silent_device_is_an_alarm_until_it_speaks_again(world: World) -> None:
    home = await world.home("02", risk="high", heartbeat_seconds=60)
    await world.signal(home.device, state="heartbeat")
    # No device may be watched so closely; a test may.
    sql = "UPDATE device SET heartbeat_seconds = 1 WHERE id = %s AND last_seen_at IS NOT NULL RETURNING id"
    await world.until(lambda: world.rows(sql, (home.device,)), "the heartbeat to be noted")
    alarm = await world.until_alarm(home, lambda a: a.legs, "the elder to be called")
    assert alarm.kind == "heartbeat_lost"

    await world.rows("UPDATE device SET heartbeat_seconds = 3600 WHERE id = %s RETURNING id", (home.device,))
    await world.signal(home.device, state="heartbeat")
    alarm = await world.until_alarm(home, lambda a: a.outcome, "the alarm to end")
    assert alarm.outcome == "cleared"


async def test_a_low_battery_is_told_once_and_cleared_by_a_new_one(world: World) -> None:
    home = await world.home("02", phone="00")
    for battery in (0.05, 0.04, 0.04):
        await world.signal(home.device, state="heartbeat", battery=battery)
    alarm = await world.until_alarm(home, lambda a: a.kind == "low_battery", "the low battery's alarm")
    await world.signal(home.device, state="heartbeat", battery=0.95)
    ended = await world.until_alarm(home, lambda a: a.outcome, "the alarm to end")
    assert (ended.id, ended.outcome) == (alarm.id, "cleared")
    joined = await world.rows("SELECT 1 FROM event WHERE alarm_id = %s AND type = 'signal_joined'", (alarm.id,))
    assert joined == []


async def test_an_all_clear_that_is_older_than_the_danger_ends_nothing(world: World) -> None:
    home = await world.home("03", kind="door")
    now = datetime.now(UTC)
    await world.signal(home.device, kind="door", at=now.isoformat())
    alarm = await world.until_alarm(home, lambda a: a.kind == "door", "the door's alarm")
    await world.signal(home.device, kind="door", state="clear", at=(now - timedelta(seconds=5)).isoformat())
    noted = "SELECT 1 FROM event WHERE alarm_id = %s AND type = 'signal_cleared'"
    await world.until(lambda: world.rows(noted, (alarm.id,)), "the all-clear to be noted")
    assert (await world.alarms.load(alarm.id)).outcome is None
    # The one that was sent after it does.
    await world.signal(home.device, kind="door", state="clear", at=(now + timedelta(seconds=5)).isoformat())
    alarm = await world.until_alarm(home, lambda a: a.outcome, "the alarm to end")
    assert alarm.outcome == "cleared"
