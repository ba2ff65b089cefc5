"""The doors of a node: conversations, rooms, and what a caller hears when the service is away."""

import asyncio
import os
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from dialplan.node import NODE_EVENTS
from tests.live.dialplan_pair import Conversation, Pair, running_pair, until

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(os.geteuid() != 0, reason="the private servers need root"),
]

VOICEMAIL, DUTY = "13900000699", "13900001799"
TAKES_IT = "ring:1,answer,wait:3,press:1,wait:6,hangup"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def servers() -> AsyncIterator[Pair]:
    async with running_pair("doors", duty_phones=(VOICEMAIL, DUTY)) as pair:
        yield pair


@pytest_asyncio.fixture(loop_scope="module")
async def pair(servers: Pair) -> Pair:
    await servers.clear()
    return servers


async def test_a_contact_is_told_when_the_service_cannot_be_reached(pair: Pair) -> None:
    await pair.service.stop()
    call = await pair.place("13900000311")
    record = await pair.record(call)
    assert (record.up, record.agi, record.note) == (True, "FAILURE", "agi_failed")
    assert (await pair.heard(await pair.phone("13900000311"))).sounding > 2
    lost = await pair.event("UserEvent", UserEvent="CarelineLost", Call=call)
    assert lost["Door"] == "contact"


async def test_a_service_that_dies_in_the_middle_is_not_taken_for_a_finished_conversation(
    pair: Pair,
) -> None:
    async def begin(conversation: Conversation) -> None:
        await conversation.keys(60)

    pair.service.talk = begin
    call = await pair.place("13900000312", door="verify")
    await until(lambda: pair.service.seen)
    await pair.service.stop()
    record = await pair.record(call)
    # AGISTATUS alone would have called it a success.
    assert (record.agi, record.next, record.note) == ("SUCCESS", "lost", "agi_failed")
    assert (await pair.heard(await pair.phone("13900000312"))).sounding > 2


async def test_each_door_carries_its_conversation_and_the_call_id(pair: Pair) -> None:
    doors = ("verify", "confirm", "arrival", "duty", "duty_check")
    calls = [await pair.place(f"139000003{nth}", door=door) for nth, door in enumerate(doors, start=20)]
    records = [await pair.record(call) for call in calls]
    assert [record.door for record in records] == list(doors)
    assert {(c.door, c.call) for c in pair.service.seen} == set(zip(doors, calls, strict=True))


async def test_legs_meet_in_a_room_and_a_leg_is_moved_there(pair: Pair) -> None:
    async def enter(conversation: Conversation) -> None:
        if conversation.door == "contact":
            await conversation.next("room", CARELINE_ROOM="alarm-7")
        else:
            await conversation.keys(60)

    pair.service.talk = enter
    contact = await pair.place("13900000330", door="contact")
    joined = await pair.event("ConfbridgeJoin", Uniqueid=contact)
    assert joined["Conference"] == "alarm-7"
    elder = await pair.place("13900000331", door="verify")
    await until(lambda: len(pair.service.seen) == 2)
    channel = (await pair.event("Newchannel", Uniqueid=elder))["Channel"]
    await pair.link.redirect(channel, "room", "alarm-7")
    await pair.event("ConfbridgeJoin", Uniqueid=elder, Conference="alarm-7")
    await pair.link.hangup(channel)
    await pair.event("ConfbridgeLeave", Uniqueid=elder)
    # Alone in the room the contact hears the word of comfort.
    await asyncio.sleep(3)
    await pair.link.hangup(joined["Channel"])
    assert (await pair.heard(await pair.phone("13900000330"))).sounding > 1
    assert (await pair.record(contact)).next == "room"


async def test_a_caller_reaches_the_duty_phone_without_us_and_never_hears_silence(
    pair: Pair,
) -> None:
    await pair.script(DUTY, TAKES_IT)
    await pair.service.stop()
    await pair.call_in("13812345678", "wait")
    taken = await pair.noted(DUTY, "press", within=45)
    duty = await pair.phone(DUTY)  # the duty phone hangs up after its script
    caller = await pair.phone("13812345678")
    voicemail = await pair.phone(VOICEMAIL)
    assert voicemail.answered_at is not None  # it answered first, and was not taken for a person
    assert (duty.keys, voicemail.keys) == ("1", "")
    assert pair.phones.ringing_twice() == []
    # The word of comfort itself ends with a pause of 4 s before it begins again.
    assert (await pair.heard(caller, before=taken.at)).silence < 5
    tree = await pair.link.collect("DBGetTree", {"Family": "careline"}, until="DBGetTreeComplete")
    values = [entry["Val"] for entry in tree if '"duty":"2"' in entry["Val"]]
    assert len(values) == 1
    assert '"note":"agi_failed"' in values[0]


async def test_a_waiting_caller_is_taken_by_the_service_when_it_is_back(pair: Pair) -> None:
    await pair.script(VOICEMAIL, "refuse:486")
    await pair.script(DUTY, "ring")  # nobody takes the call there
    await pair.service.stop()
    await pair.call_in("13812345679", "wait")
    await pair.noted(DUTY, "ring")
    await pair.service.start()
    await until(lambda: pair.service.seen)
    await pair.phone("13812345679")
    [conversation] = pair.service.seen
    assert conversation.door == "inbound"
    assert (await pair.record(conversation.call)).next == "hangup"


async def test_the_service_can_hand_a_caller_to_the_duty_phones(pair: Pair) -> None:
    async def hand_over(conversation: Conversation) -> None:
        await conversation.next("duty")

    pair.service.talk = hand_over
    await pair.script(VOICEMAIL, "refuse:603")
    await pair.script(DUTY, TAKES_IT)
    await pair.call_in("13812345680", "wait")
    await pair.noted(DUTY, "press", within=45)
    await pair.phone("13812345680")
    record = await pair.record(pair.service.seen[0].call)
    assert (record.next, record.duty, record.note) == ("duty", 2, "")


async def test_the_dialplan_refuses_every_form_of_an_emergency_number(pair: Pair) -> None:
    blocked = [
        prefix + number
        for number in ("110", "119", "120", "122")
        for prefix in ("", "9", "0", "90", "+86", "0086", "86", "9+86", "010", "0571", "90571")
        if not prefix.startswith("9+")  # no exten of this form can be dialled
    ]
    for number in blocked:
        headers = {"Channel": f"Local/{number}@duty-leg/n", "Context": "room", "Exten": "none"}
        await pair.link.action("Originate", {**headers, "Priority": "1", "Async": "true"})
    await until(lambda: [e.get("UserEvent") for e in pair.events].count("CarelineBlocked") == len(blocked))
    assert pair.phones.events() == []


async def test_the_dialplan_lets_every_other_number_pass(pair: Pair) -> None:
    numbers = ["13900000404", "65432110", "02112345120", "4001201191", "12345"]
    for number in numbers:
        headers = {"Channel": f"Local/{number}@duty-leg/n", "Context": "room", "Exten": "none"}
        await pair.link.action("Originate", {**headers, "Priority": "1", "Async": "true"})
    await until(lambda: {call.number for call in pair.phones.calls()} == set(numbers))


async def test_only_the_events_that_are_needed_come(pair: Pair) -> None:
    await pair.record(await pair.place("13900000340"))
    assert {e["Event"] for e in pair.events} <= set(NODE_EVENTS)
    assert {"Newchannel", "Newstate", "Hangup", "OriginateResponse"} <= {e["Event"] for e in pair.events}


async def test_a_finished_call_leaves_no_error_in_asterisks_log(pair: Pair) -> None:
    await pair.record(await pair.place("13900000341"))
    for name in ("node", "network"):
        log = pair.phones.path.parent.parent / name / "log/messages"
        errors = [line for line in log.read_text().splitlines() if "] ERROR[" in line]
        assert errors == []
