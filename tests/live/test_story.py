"""The main job, from the device's message to the helper at the door, on real servers."""

from __future__ import annotations

import pytest

from tests.live.world import World

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_smoke_alarm_until_help_is_there(world: World) -> None:
    home = await world.home("04", "07", "01")
    await world.signal(home.device)

    alarm = await world.until_alarm(home, lambda a: a.helpers, "the third contact to press 1")
    (who,) = alarm.helpers
    assert alarm.brief.contacts[2].id == who
    await world.until_alarm(home, lambda a: not a.legs, "the call to end")
    await world.phone_calls_in(home.contacts[2], "wait:3,press:1,wait:3,press:1,wait:60,hangup")
    alarm = await world.until_alarm(home, lambda a: a.outcome, "the alarm to end")

    assert alarm.outcome == "helped"
    rung = [call.number for call in world.phones.calls() if "dial" not in call.events]
    assert [n for n in rung if n in (home.phone, *home.contacts)] == [home.phone, *home.contacts]
    await world.until_alarm(home, lambda a: not a.legs, "the last call to end")
    await world.check_record()
