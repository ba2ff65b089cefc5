"""What people do with the keys of their phones, and what they hear."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from alarm_core.alarm import Alarm
from ami.link import AmiRefused, Link
from tests.live.hearing import heard
from tests.live.world import DUTY, Home, World

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(120)]

STEADY_DUTY = "ring:1,answer,wait:3,press:1,wait:60,hangup"
GOES = "ring:1,answer,wait:3,press:1,wait:3,press:15#,wait:1,hangup"
"""Accepts; asked for the arrival, is there and all is well. Hangs up without hearing the thanks."""
LATE = {"minute_seconds": 0.6, "grace_seconds": 0, "arrival_calls": 1}
"""With the world's pace: fifteen minutes are a second, and who is late is asked once."""


def _reply_of(alarm: Alarm, who: int) -> bool:
    return alarm.brief.contacts[who].id in alarm.helpers


async def _replies(world: World, home: Home) -> list[str]:
    """What the elder's contacts said with their keys, in order."""
    sql = "SELECT data->>'reply' FROM event JOIN alarm ON alarm.id = alarm_id WHERE elder_id = %s AND type = %s"
    return [reply for (reply,) in await world.rows(f"{sql} ORDER BY event.seq", (home.elder_id, "helper_reply"))]


@pytest_asyncio.fixture(autouse=True, loop_scope="session", scope="module")
async def quiet_end(world: World) -> AsyncIterator[None]:
    """No story of this file reaches into another file's."""
    yield
    await world.end_all()


async def test_who_cannot_come_says_so_and_the_next_is_asked(world: World) -> None:
    home = await world.home("02", "01", phone="04")
    await world.signal(home.device)
    await world.until_alarm(home, lambda a: _reply_of(a, 1), "the second contact to go")
    assert await _replies(world, home) == ["cannot", "going"]
    await world.staff_resolves(home)
    await world.check_record()


async def test_3_is_heard_again_and_wrong_keys_are_asked_again(world: World) -> None:
    again, wrong = await world.home("10", phone="04"), await world.home("11", phone="04")
    for home in (again, wrong):
        await world.signal(home.device)
    for home, keys in ((again, "3115#"), (wrong, "79115#")):
        await world.until_alarm(home, lambda a: a.helpers, "the contact to go")
        await world.until_alarm(home, lambda a: not a.legs, "the call to end")
        (call,) = world.phones.calls(home.contacts[0])
        assert call.keys == keys
        (pressed,) = await world.rows("SELECT keys FROM call WHERE number = %s", (call.number,))
        assert pressed[0] == keys.rstrip("#")
        await world.staff_resolves(home)


async def test_a_contact_who_wants_a_person_talks_with_the_duty_phone(world: World) -> None:
    await world.script(DUTY, "ring:1,answer,wait:3,press:1,wait:18,tone:7,wait:3,hangup")
    home = await world.home("12", phone="04")  # presses 0, then hums
    try:
        await world.signal(home.device)
        alarm = await world.until_alarm(home, lambda a: a.duty.state == "taken", "the duty phone to take it")

        async def both_in_the_room() -> bool:
            link = await Link.open(world.servers.endpoints.ami, lambda event: None)
            try:
                rooms = await link.collect("ConfbridgeListRooms", until="ConfbridgeListRoomsComplete")
            except AmiRefused:  # there is none yet
                return False
            finally:
                await link.close()
            return [room["Parties"] for room in rooms if room["Conference"] == alarm.id.hex] == ["2"]

        await world.until(both_in_the_room, "the contact and the duty phone to be in one room")
        await world.until_hung_up(DUTY)
        await world.until_alarm(home, lambda a: not a.legs, "the contact's call to end", 40)
    finally:
        await world.script(DUTY, STEADY_DUTY)
    duty, contact = world.phones.calls(DUTY)[-1], world.phones.calls(home.contacts[0])[-1]
    assert (await heard(world, duty)).tone(300, 440), "the duty phone does not hear the contact"
    assert (await heard(world, contact)).tone(300, 440), "the contact does not hear the duty phone"
    await world.staff_resolves(home)


async def test_a_contact_who_finds_nobody_free_is_asked_again(world: World) -> None:
    await world.script(DUTY, "refuse:486")
    home = await world.home("01", phone="04")
    await world.script(home.contacts[0], "ring:1,answer,wait:3,press:0,wait:15,press:1,wait:3,press:15#,wait:1,hangup")
    try:
        await world.signal(home.device)
        await world.until_alarm(home, lambda a: _reply_of(a, 0), "the contact to go after all")
        assert await _replies(world, home) == ["person", "going"]
        await world.until_alarm(home, lambda a: not a.legs, "the call to end")
    finally:
        await world.script(DUTY, STEADY_DUTY)
    assert len(world.phones.calls(home.contacts[0])) == 1
    await world.staff_resolves(home)
    await world.check_record()


async def test_a_contact_who_calls_back_is_put_into_the_same_question(world: World) -> None:
    home = await world.home("04", "19", phone="04")
    caller, neighbour = home.contacts
    await world.signal(home.device)
    await world.until_alarm(home, lambda a: any(leg.number == neighbour for leg in a.legs.values()), "the neighbour")

    # While the neighbour's phone rings, the first one calls back and goes.
    await world.phone_calls_in(caller, "wait:3,press:1,wait:3,press:15#,wait:1,hangup")
    alarm = await world.until_alarm(home, lambda a: _reply_of(a, 0), "who called back to go")
    assert set(alarm.helpers) == {alarm.brief.contacts[0].id}
    await world.until_alarm(home, lambda a: not a.legs, "the calls to end")
    assert all(call.answered_at is None for call in world.phones.calls(neighbour))

    # The next call in is about the arrival.
    await world.until_hung_up(caller)
    await world.phone_calls_in(caller, "wait:3,press:1,wait:3,press:1,wait:1,hangup")
    alarm = await world.until_alarm(home, lambda a: a.outcome and not a.legs, "the alarm to end")
    assert alarm.outcome == "helped"

    # And when all is over, the caller is told so.
    await world.until_hung_up(caller)
    await world.phone_calls_in(caller, "wait:60,hangup")
    await world.until_calls(caller, 4)
    await world.until_hung_up(caller)
    assert (await heard(world, world.phones.calls(caller)[-1])).prompt("contact.withdrawn")
    await world.check_record()


async def test_a_caller_whom_nobody_knows_reaches_the_duty_phone(world: World) -> None:
    before = len(world.phones.calls(DUTY))
    await world.phone_calls_in("13712345678", "wait:40,hangup")
    await world.until_calls(DUTY, before + 1)
    for phone in ("13712345678", DUTY):
        await world.until_hung_up(phone)
    assert world.phones.calls(DUTY)[-1].keys == "1"
    assert (await heard(world, world.phones.calls("13712345678")[-1])).prompt("hotline.connecting")
    assert (await heard(world, world.phones.calls(DUTY)[-1])).prompt("duty.person_waiting") is None  # 1 interrupts it


async def test_an_alarm_waits_for_the_duty_phone_that_the_dialplan_is_calling(world: World) -> None:
    before = len(world.phones.calls(DUTY))
    await world.phone_calls_in("13712345678", "wait:20,hangup")
    await world.until_calls(DUTY, before + 1)
    home = await world.home(phone="")
    await world.signal(home.device)
    await world.until_alarm(home, lambda a: a.duty.state == "taken", "the duty phone to take the alarm")
    assert world.phones.ringing_twice() == []
    await world.staff_resolves(home)


async def test_a_caller_is_not_led_to_a_duty_phone_that_is_in_a_call_of_an_alarm(world: World) -> None:
    await world.script(DUTY, "ring:1,answer,wait:20,press:1,wait:30,hangup")
    home = await world.home(phone="")
    before = len(world.phones.calls(DUTY))
    await world.signal(home.device)
    await world.until_calls(DUTY, before + 1)
    await world.phone_calls_in("13712345678", "wait:60,hangup")
    await world.until_alarm(home, lambda a: a.duty.state == "taken", "the duty phone to take the alarm")
    await world.until_calls(DUTY, before + 2)  # and then the caller, who had to wait
    for phone in ("13712345678", DUTY):
        await world.until_hung_up(phone)
    assert world.phones.ringing_twice() == []
    await world.script(DUTY, STEADY_DUTY)
    await world.staff_resolves(home)


async def test_help_that_does_not_come_is_asked_and_others_are_called(world: World) -> None:
    home = await world.home("01", "01", phone="04", plan={"smoke": {"help": LATE}})
    late, other = home.contacts
    await world.script(late, GOES, "ring")
    await world.script(other, GOES)
    await world.signal(home.device)
    alarm = await world.until_alarm(home, lambda a: a.outcome and not a.legs, "help from somebody else", 40)
    assert alarm.outcome == "helped"
    assert [call.number for call in world.phones.calls() if call.number in (late, other)] == [late, late, other, other]
    await world.check_record()


async def test_a_more_serious_signal_takes_the_lead(world: World) -> None:
    home = await world.home("01", kind="door")
    await world.signal(home.device, kind="door")
    await world.until_alarm(home, lambda a: a.kind == "door", "the door's alarm")
    await world.signal(home.device, kind="smoke")
    alarm = await world.until_alarm(home, lambda a: a.kind == "smoke", "smoke to take the lead")
    assert alarm.brief.plan.kind == "smoke"
    assert len(await world.rows("SELECT 1 FROM alarm WHERE elder_id = %s", (home.elder_id,))) == 1
    await world.until_alarm(home, lambda a: a.helpers, "somebody to go")
    await world.staff_resolves(home)


async def test_an_elder_who_is_well_ends_a_false_alarm_but_not_a_fire(world: World) -> None:
    door, fire = await world.home("01", phone="18", kind="door"), await world.home("01", phone="18")
    await world.signal(door.device, kind="door")
    await world.signal(fire.device)
    alarm = await world.until_alarm(door, lambda a: a.outcome and not a.legs, "the false alarm to end")
    assert alarm.outcome == "withdrawn"
    assert world.phones.calls(door.contacts[0]) == []
    alarm = await world.until_alarm(fire, lambda a: a.helpers, "somebody to look after the fire")
    assert alarm.elder.result == "well"
    await world.staff_resolves(fire)
    (call,) = world.phones.calls(door.phone)
    thanked = (await heard(world, call)).prompt("elder.well_thanks")
    sql = "SELECT extract(epoch FROM ended_at)::float8 FROM alarm WHERE elder_id = %s"
    ((committed,),) = await world.rows(sql, (door.elder_id,))
    assert thanked is not None
    assert thanked > committed


async def test_an_elder_who_needs_help_brings_contacts_and_duty_phone_at_once(world: World) -> None:
    home = await world.home("03", phone="02", kind="door")
    before = len(world.phones.calls(DUTY))
    await world.signal(home.device, kind="door")
    await world.until_alarm(home, lambda a: a.elder.result == "help", "the elder to ask for help")
    await world.until_calls(home.contacts[0], 1)
    await world.until_calls(DUTY, before + 1)
    contact, duty = world.phones.calls(home.contacts[0])[0], world.phones.calls(DUTY)[-1]
    assert abs(contact.began_at - duty.began_at) < 2
    await world.staff_resolves(home)


async def test_a_whole_conversation_is_heard_and_silence_never_counts(world: World) -> None:
    """Three phones that take their time, side by side: one listens and goes, one is voicemail, one stays silent."""
    listener = await world.home("01", phone="04")
    await world.script(listener.contacts[0], "ring:1,answer,wait:40,press:1,wait:22,press:15#,wait:60,hangup")
    machine, silent = await world.home("06", phone="04"), await world.home("03", phone="04")
    for home in (listener, machine, silent):
        await world.signal(home.device)

    await world.until_alarm(listener, lambda a: a.helpers and not a.legs, "the listener to go", 60)
    call = world.phones.calls(listener.contacts[0])[0]
    sounds = await heard(world, call)
    question = [sounds.prompt(name) for name in ("contact.greeting", "contact.elder_is", "kind.smoke")]
    assert None not in question
    assert question == sorted(at or 0.0 for at in question)
    thanked = sounds.prompt("contact.thanks")
    sql = """SELECT extract(epoch FROM max(at))::float8 FROM event JOIN alarm ON alarm.id = alarm_id
             WHERE elder_id = %s AND type IN ('helper_reply', 'helper_minutes')"""
    ((committed,),) = await world.rows(sql, (listener.elder_id,))
    assert thanked is not None
    assert thanked > committed, "thanked before the commit"

    for home in (machine, silent):
        await world.until_calls(DUTY, 1)
        await world.until_alarm(home, lambda a: a.contacts.round > 1, "the contact to be asked once more", 80)
        assert set(await _replies(world, home)) <= {"none"}
        alarm = await world.alarm_of(home)
        assert alarm is not None
        assert not alarm.helpers
    for home in (listener, machine, silent):
        await world.staff_resolves(home)
