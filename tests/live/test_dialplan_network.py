"""The telephone network: what each number does, seen from Careline's Asterisk and from the phone."""

import asyncio
import os
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from dialplan.phones import overlaps
from dialplan.records import HangupRecord
from tests.live.dialplan_pair import SERVICE, Conversation, Pair, running_pair, until

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(os.geteuid() != 0, reason="the private servers need root"),
]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def servers() -> AsyncIterator[Pair]:
    async with running_pair("network") as pair:
        yield pair


@pytest_asyncio.fixture(loop_scope="module")
async def pair(servers: Pair) -> Pair:
    await servers.clear()
    return servers


async def test_numbers_that_refuse_are_told_apart_by_their_sip_code(pair: Pair) -> None:
    async def place(behaviour: str) -> tuple[str, int, int | None]:
        record = await pair.record(await pair.place(f"1390000{behaviour}01"))
        assert not record.up
        assert record.answered is None
        assert record.started is not None
        assert record.started <= record.ended
        phone = await pair.phone(f"1390000{behaviour}01")
        assert phone.answered_at is None
        return behaviour, record.cause, record.sip

    found = await asyncio.gather(*(place(b) for b in ("04", "05", "08", "13", "21", "77")))
    assert found == [
        ("04", 17, 486),
        ("05", 21, 603),
        ("08", 34, 503),
        ("13", 1, 404),
        ("21", 19, 480),
        ("77", 1, 404),
    ]
    assert pair.service.seen == []  # no conversation was begun for a call that nobody took


async def test_many_phones_at_once_press_each_its_own_keys(pair: Pair) -> None:
    expected = {
        "01": "115#",
        "02": "2",
        "03": "",
        "10": "3115#",
        "11": "79115#",
        "12": "0",
        "14": "1",
        "15": "11",
        "16": "210#",
        "17": "1",
        "18": "1",
        "19": "115#",
        "20": "",
        "22": "",
    }
    heard: dict[str, str] = {}

    async def listen(conversation: Conversation) -> None:
        heard[conversation.call] = await conversation.keys(2.5)
        await conversation.next("hangup")

    async def place(behaviour: str) -> tuple[str, str, HangupRecord]:
        call = await pair.place(f"1390000{behaviour}02")
        record = await pair.record(call)
        phone = await pair.phone(f"1390000{behaviour}02")
        return heard[call], phone.keys, record

    pair.service.talk = listen
    results = await asyncio.gather(*(place(b) for b in expected))
    for (behaviour, keys), (heard_keys, phone_keys, record) in zip(expected.items(), results, strict=True):
        assert (behaviour, heard_keys, phone_keys) == (behaviour, keys, keys)
        assert (record.up, record.door, record.next, record.note) == (True, "contact", "hangup", "")
        assert record.started is not None
        assert record.answered is not None
        assert record.started < record.answered < record.ended
    assert {event.other for event in pair.phones.events()} == {SERVICE}
    assert pair.phones.ringing_twice() == []
    [silent], [speaks] = pair.phones.calls("13900002202"), pair.phones.calls("13900002002")
    assert silent.events == ("call", "answer", "end")
    assert speaks.events[:4] == ("call", "ring", "answer", "say")


async def test_a_phone_that_rings_out_stops_when_we_give_up(pair: Pair) -> None:
    call = await pair.place("13900000001", ring_seconds=1)
    record = await pair.record(call)
    phone = await pair.phone("13900000001")
    assert (record.up, record.sip, record.answered) == (False, None, None)
    assert phone.events == ("call", "ring", "end")
    assert phone.ended_at is not None
    assert 0.9 < phone.ended_at - phone.began_at < 2
    assert pair.service.seen == []


async def test_a_phone_stops_ringing_when_its_call_is_cancelled(pair: Pair) -> None:
    call = await pair.place("13900000002")
    await pair.noted("13900000002", "ring")
    channel = (await pair.event("Newchannel", Uniqueid=call))["Channel"]
    await pair.link.hangup(channel)
    record = await pair.record(call)
    phone = await pair.phone("13900000002")
    assert not record.up
    assert phone.events == ("call", "ring", "end")


async def test_a_phone_may_answer_at_the_second_call_only(pair: Pair) -> None:
    first = await pair.record(await pair.place("13900000901", ring_seconds=1))
    second = await pair.record(await pair.place("13900000901"))
    assert (first.up, second.up) == (False, True)
    calls = pair.phones.calls("13900000901")
    assert [c.answered_at is not None for c in calls] == [False, True]
    assert pair.phones.ringing_twice() == []


async def test_voicemail_greets_beeps_and_never_presses(pair: Pair) -> None:
    heard: list[str] = []

    async def listen(conversation: Conversation) -> None:
        heard.append(await conversation.keys(7))
        await conversation.next("hangup")

    pair.service.talk = listen
    await pair.record(await pair.place("13900000601"))
    phone = await pair.phone("13900000601")
    assert heard == [""]
    assert phone.events == ("call", "ring", "answer", "say", "beep", "end")


async def test_a_person_may_hang_up_in_the_middle(pair: Pair) -> None:
    async def listen(conversation: Conversation) -> None:
        await conversation.keys(20)

    pair.service.talk = listen
    record = await pair.record(await pair.place("13900000701"))
    phone = await pair.phone("13900000701")
    assert (record.up, record.cause, record.note) == (True, 16, "")
    assert phone.events[-2:] == ("hangup", "end")


async def test_a_test_gives_a_phone_its_own_scripts_one_after_the_other(pair: Pair) -> None:
    async def listen(conversation: Conversation) -> None:
        await conversation.keys(20)

    pair.service.talk = listen
    number = "13512345678"
    await pair.script(number, "refuse:486", "ring:0.5,answer,wait:0.5,press:7*#,hangup")
    first = await pair.record(await pair.place(number))
    second = await pair.record(await pair.place(f"+86{number}"))
    third = await pair.record(await pair.place(number))
    assert (first.sip, second.up, third.sip) == (486, True, 404)
    assert [c.keys for c in pair.phones.calls(number)] == ["", "7*#", ""]


async def test_a_phone_calls_in_with_its_number_and_presses(pair: Pair) -> None:
    heard: list[tuple[str, str, str]] = []

    async def listen(conversation: Conversation) -> None:
        await conversation.do("ANSWER")
        keys = await conversation.keys(2)
        heard.append((conversation.door, conversation.env["agi_callerid"], keys))
        await conversation.next("hangup")

    pair.service.talk = listen
    await pair.call_in("13712345678", "wait:2,press:1,wait:2,press:2,wait")
    phone = await pair.phone("13712345678")
    assert heard == [("inbound", "13712345678", "12")]
    assert (phone.keys, phone.other) == ("12", SERVICE)
    assert phone.events == ("dial", "answer", "press", "press", "end")
    [conversation] = pair.service.seen
    record = await pair.record(conversation.call)
    assert (record.door, record.up, record.next) == ("inbound", True, "hangup")


async def test_the_network_keeps_what_a_phone_heard(pair: Pair) -> None:
    async def speak(conversation: Conversation) -> None:
        await conversation.do('STREAM FILE careline/hotline.connecting ""')
        await conversation.next("hangup")

    pair.service.talk = speak
    await pair.record(await pair.place("13900000301"))
    heard = await pair.heard(await pair.phone("13900000301"))
    assert heard.sounding > 2
    assert heard.silence < 1.5


async def test_two_calls_at_one_phone_at_the_same_moment_are_found(pair: Pair) -> None:
    await asyncio.gather(*(pair.place("13900000003", ring_seconds=1) for _ in range(2)))
    await until(lambda: len([c for c in pair.phones.calls() if c.ended_at]) == 2)
    assert len(pair.phones.ringing_twice()) == 1
    assert overlaps(pair.phones.calls()[:1]) == []
