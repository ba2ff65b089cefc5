"""Each action gets exactly one outcome, and is on the wire exactly once."""

import asyncio
from typing import Any

import pytest

from ami.protocol import AmiInvalid, AmiLost, AmiRefused, AmiTimeout

CALL: dict[str, Any] = {
    "channel": "PJSIP/13900000001@trunk",
    "context": "door",
    "exten": "contact",
    "caller_id": "Careline <4001>",
    "timeout_ms": 30000,
    "channel_id": "0b2c-call",
}


async def cuts_after_originate(peer: Any) -> None:
    await peer.login()
    while (await peer.next())["Action"] != "Originate":
        pass
    peer.cut()


async def test_a_call_whose_answer_was_lost_is_not_placed_again(fake: Any, open_link: Any) -> None:
    fake.script = cuts_after_originate
    link = await open_link()
    with pytest.raises(AmiLost) as error:
        await link.originate(**CALL)
    assert error.value.sent  # the outcome is unknown, and says so
    successor = await open_link()
    with pytest.raises(AmiTimeout):  # time enough for a second attempt, were there one
        await successor.action("Ping", timeout=0.1)
    assert fake.names().count("Originate") == 1


async def test_panoramisk_alone_places_that_call_twice(fake: Any, plain_panoramisk: Any) -> None:
    fake.script = cuts_after_originate
    plain_panoramisk.connect()
    await fake.until(lambda: plain_panoramisk.authenticated)
    plain_panoramisk.send_action({"Action": "Originate", "Channel": CALL["channel"], "Async": "true"})
    await fake.until(lambda: fake.names().count("Originate") >= 2)


async def test_all_who_wait_are_told_when_the_line_breaks(fake: Any, open_link: Any) -> None:
    link = await open_link()
    waiting = [asyncio.create_task(link.action("Ping")) for _ in range(5)]
    await asyncio.sleep(0.05)
    fake.peers[0].cut()
    async with asyncio.timeout(2):
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [AmiLost] * 5


async def test_an_action_after_the_end_is_proven_not_sent(fake: Any, open_link: Any) -> None:
    link = await open_link()
    await link.close()
    with pytest.raises(AmiLost) as error:
        await link.originate(**CALL)
    assert not error.value.sent
    assert fake.names() == ["Login"]


async def test_closing_ends_what_is_under_way(fake: Any, open_link: Any) -> None:
    link = await open_link()
    waiting = asyncio.create_task(link.action("Ping"))
    await asyncio.sleep(0.05)
    await link.close()
    with pytest.raises(AmiLost, match="closed by us"):
        await waiting


async def test_no_answer_is_a_timeout_and_a_late_one_goes_to_nobody(fake: Any, open_link: Any) -> None:
    async def answers_late(peer: Any) -> None:
        await peer.login()
        first = await peer.next()
        second = await peer.next()
        peer.answer(first, Message="first")
        peer.answer(second, Message="second")

    fake.script = answers_late
    link = await open_link()
    with pytest.raises(AmiTimeout):
        await link.action("First", timeout=0.05)
    assert (await link.action("Second"))["Message"] == "second"


async def test_an_unanswered_action_counts_in_the_latency(fake: Any, open_link: Any) -> None:
    link = await open_link()
    with pytest.raises(AmiTimeout):
        await link.action("Ping", timeout=0.1)
    assert link.last_latency >= 0.1
    assert 0 < link.latency < link.last_latency


async def test_answers_in_another_order_find_their_actions(fake: Any, open_link: Any) -> None:
    async def answers_backwards(peer: Any) -> None:
        await peer.login()
        for action in reversed([await peer.next() for _ in range(3)]):
            peer.answer(action, Message=action["Action"])

    fake.script = answers_backwards
    link = await open_link()
    answers = await asyncio.gather(*(link.action(name) for name in ("One", "Two", "Three")))
    assert [answer["Message"] for answer in answers] == ["One", "Two", "Three"]


async def test_a_refusal_carries_asterisks_reason(fake: Any, open_link: Any) -> None:
    async def refuses(peer: Any) -> None:
        await peer.login()
        peer.answer(await peer.next(), Response="Error", Message="No such channel")

    fake.script = refuses
    link = await open_link()
    with pytest.raises(AmiRefused) as error:
        await link.hangup("PJSIP/trunk-00000001")
    assert error.value.message == "No such channel"


async def test_originate_returns_when_it_is_queued_and_its_end_is_an_event(fake: Any, open_link: Any) -> None:
    async def queues(peer: Any) -> None:
        await peer.login()
        peer.answer(await peer.next(), Message="Originate successfully queued")

    fake.script = queues
    events: list[Any] = []
    link = await open_link(events.append)
    async with asyncio.timeout(1):
        await link.originate(**CALL, variables={"CARELINE_CALL": "0b2c"})
    sent = fake.heard[1]
    assert sent["ChannelId"] == sent["ActionID"] == CALL["channel_id"]
    assert (sent["Async"], sent["Variable"]) == ("true", "CARELINE_CALL=0b2c")
    fake.peers[0].event("OriginateResponse", ActionID=CALL["channel_id"], Reason="5")
    await fake.until(lambda: events[-1].get("Reason") == "5")


async def test_an_event_that_outruns_the_response_is_not_taken_for_it(fake: Any, open_link: Any) -> None:
    async def event_first(peer: Any) -> None:
        await peer.login()
        action = await peer.next()
        peer.event("OriginateResponse", ActionID=action["ActionID"], Response="Failure")
        peer.answer(action, Response="Error", Message="Originate failed")

    # (Response: Failure inside an event is how Asterisk reports a call that was not answered.)
    fake.script = event_first
    events: list[Any] = []
    link = await open_link(events.append)
    with pytest.raises(AmiRefused, match="Originate failed"):
        await link.originate(**CALL)
    assert events[-1]["Event"] == "OriginateResponse"


async def test_the_same_call_is_not_sent_while_it_is_unanswered(fake: Any, open_link: Any) -> None:
    link = await open_link()
    first = asyncio.create_task(link.originate(**CALL))
    await asyncio.sleep(0)  # it has begun
    with pytest.raises(AmiInvalid, match="still without an answer"):
        await link.originate(**CALL)
    first.cancel()


async def test_a_list_is_collected_and_other_events_pass_by(fake: Any, open_link: Any) -> None:
    async def lists(peer: Any) -> None:
        await peer.login()
        number = (action := await peer.next())["ActionID"]
        peer.answer(action, EventList="start")
        peer.event("CoreShowChannel", ActionID=number, Uniqueid="a")
        peer.event("Hangup", Uniqueid="z")
        peer.event("CoreShowChannel", ActionID=number, Uniqueid="b")
        peer.event("CoreShowChannelsComplete", ActionID=number, ListItems="2")

    fake.script = lists
    events: list[Any] = []
    link = await open_link(events.append)
    channels = await link.collect("CoreShowChannels", until="CoreShowChannelsComplete")
    assert [channel["Uniqueid"] for channel in channels] == ["a", "b"]
    assert [event["Event"] for event in events] == ["FullyBooted", "Hangup"]


async def test_a_list_that_is_refused_is_an_error(fake: Any, open_link: Any) -> None:
    async def refuses(peer: Any) -> None:
        await peer.login()
        peer.answer(await peer.next(), Response="Error", Message="Permission denied")

    fake.script = refuses
    link = await open_link()
    with pytest.raises(AmiRefused, match="Permission denied"):
        await link.collect("CoreShowChannels", until="CoreShowChannelsComplete")


async def test_a_name_split_over_segments_keeps_all_its_characters(fake: Any, open_link: Any) -> None:
    names: list[str | None] = []
    await open_link(lambda event: names.append(event.get("CallerIDName")))
    await send_in_pieces(fake.peers[0], "张小明")
    await fake.until(lambda: len(names) == 2)
    assert names[1] == "张小明"


async def test_panoramisk_alone_loses_characters_there(fake: Any, plain_panoramisk: Any) -> None:
    names: list[str] = []
    plain_panoramisk.register_event("Newchannel", lambda manager, event: names.append(event.calleridname))
    plain_panoramisk.connect()
    await fake.until(lambda: plain_panoramisk.authenticated)
    await send_in_pieces(fake.peers[0], "张小明")
    await fake.until(lambda: bool(names))
    assert names[0] != "张小明"


async def send_in_pieces(peer: Any, name: str) -> None:
    for byte in f"Event: Newchannel\r\nCallerIDName: {name}\r\n\r\n".encode():
        peer.writer.write(bytes((byte,)))
        await peer.writer.drain()
        await asyncio.sleep(0.002)


async def test_a_mistake_in_the_callback_leaves_the_line_alive(
    fake: Any, open_link: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def mistaken(event: Any) -> None:
        raise KeyError(CALL["channel"])

    fake.script = logs_in_and_serves
    link = await open_link(mistaken)
    fake.peers[0].event("Hangup")
    assert (await link.action("Ping"))["Response"] == "Success"
    assert not link.lost.is_set()
    assert "KeyError in the callback for Hangup" in caplog.text
    assert "139000" not in caplog.text


async def test_panoramisk_alone_loses_the_line_by_that_mistake(fake: Any, plain_panoramisk: Any) -> None:
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
    fake.script = logs_in_and_serves
    plain_panoramisk.connect()
    await fake.until(lambda: plain_panoramisk.authenticated)
    plain_panoramisk.register_event("Hangup", lambda manager, event: event["missing"])
    fake.peers[0].event("Hangup")
    await fake.until(lambda: len(fake.peers) > 1)  # the first connection is gone


async def logs_in_and_serves(peer: Any) -> None:
    await peer.login()
    await peer.serve()


async def test_a_repeated_header_is_one_value_with_line_breaks(fake: Any, open_link: Any) -> None:
    async def repeats(peer: Any) -> None:
        await peer.login()
        number = (await peer.next())["ActionID"]
        peer.send("Response: Success", f"ActionID: {number}", "Output: one", "Output: two")

    fake.script = repeats
    link = await open_link()
    answer = await link.action("Command", {"Command": "core show uptime"})
    assert answer["Output"] == "one\ntwo"


async def test_an_entry_that_is_not_there_is_none(fake: Any, open_link: Any) -> None:
    async def has_none(peer: Any) -> None:
        await peer.login()
        peer.answer(await peer.next(), Response="Error", Message="Database entry not found")
        peer.answer(await peer.next(), Response="Error", Message="Permission denied")

    fake.script = has_none
    link = await open_link()
    assert await link.db_get("careline", "0b2c") is None
    with pytest.raises(AmiRefused, match="Permission denied"):
        await link.db_get("careline", "0b2c")
