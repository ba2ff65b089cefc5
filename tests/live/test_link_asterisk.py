"""The link and a real Asterisk: what it takes, what it refuses, and how its death is noticed."""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import pytest

from ami.link import AmiAddress, Link
from ami.protocol import AmiLost, AmiRefused, AmiTimeout
from tests.live.bare_asterisk import Asterisk, until

DIALPLAN = """
[phone]
exten => answers,1,Answer()
 same => n,WaitExten(60)
[door]
exten => contact,1,Answer()
 same => n,WaitExten(60)
exten => room,1,UserEvent(Moved)
 same => n,WaitExten(60)
[ended]
exten => s,1,UserEvent(Ended,Call: ${CALL})
 same => n,Return()
"""
HARD = ['张小明 "a", b; c=d', "\\", 'a,B=injected"(', ")](,[", "${CHANNEL}", "  spaces  ", ""]


@pytest.fixture(scope="module")
def asterisk() -> Iterator[Asterisk]:
    server = Asterisk(DIALPLAN)
    yield server
    server.remove()


@pytest.fixture
def mortal() -> Iterator[Asterisk]:
    """One that the test may kill."""
    server = Asterisk(DIALPLAN)
    yield server
    server.remove()


class Heard(list[Mapping[str, str]]):
    """The events of a link."""

    def of(self, name: str, **headers: str) -> list[Mapping[str, str]]:
        wanted = {"Event": name, **headers}.items()
        return [event for event in self if all(event.get(key) == value for key, value in wanted)]


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
async def link(asterisk: Asterisk, heard: Heard) -> AsyncIterator[Link]:
    link = await asterisk.link(heard.append)
    yield link
    for channel in await live_channels(link):
        await link.hangup(channel["Channel"])
    await link.close()


async def live_channels(link: Link) -> list[Mapping[str, str]]:
    channels = await link.collect("CoreShowChannels", until="CoreShowChannelsComplete")
    return [channel for channel in channels if not channel["Uniqueid"].endswith(";2")]


async def place(link: Link, call: str, **changes: Any) -> None:
    arguments = {
        "channel": "Local/answers@phone",
        "context": "door",
        "exten": "contact",
        "caller_id": "4001",
        "timeout_ms": 5000,
        "channel_id": call,
        **changes,
    }
    await link.originate(**arguments)


async def test_a_link_opens_and_measures_the_round_trip(link: Link, heard: Heard) -> None:
    assert heard.of("FullyBooted")
    await link.action("Ping")
    assert 0 < link.last_latency < 1
    assert 0 < link.latency < 1


async def test_a_wrong_secret_is_refused(asterisk: Asterisk, link: Link) -> None:
    address = AmiAddress("127.0.0.1", asterisk.address.port, "careline", "wrong")
    with pytest.raises(AmiRefused, match="Authentication failed"):
        await Link.open(address, lambda event: None)


@pytest.mark.parametrize("value", [*HARD[:-2], "x" * 900])
async def test_asterisks_database_keeps_a_value_as_it_is(link: Link, value: str) -> None:
    await link.db_put("careline", "0b2c", value)
    assert await link.db_get("careline", "0b2c") == value
    assert await link.db_del("careline", "0b2c")
    assert not await link.db_del("careline", "0b2c")
    assert await link.db_get("careline", "0b2c") is None


async def test_a_call_is_placed_with_our_id(link: Link, heard: Heard) -> None:
    await place(link, "call-1")
    await until(lambda: bool(heard.of("OriginateResponse", ActionID="call-1")))
    [response] = heard.of("OriginateResponse")
    assert (response["Response"], response["Uniqueid"]) == ("Success", "call-1")
    assert [channel["Uniqueid"] for channel in await live_channels(link)] == ["call-1"]


async def test_a_variable_reaches_the_channel_as_it_is(link: Link) -> None:
    values = {f"V{number}": value for number, value in enumerate(HARD)}
    await place(link, "call-2", variables={**values, "B": "mine"})
    await until_live(link, "call-2")
    [channel] = await live_channels(link)
    for name, value in {**values, "B": "mine"}.items():
        answer = await link.action("Getvar", {"Channel": channel["Channel"], "Variable": name})
        assert answer["Value"] == value


async def test_without_the_escape_a_value_becomes_another_variable(link: Link) -> None:
    call = {"Channel": "Local/answers@phone", "Context": "door", "Exten": "contact"}
    raw = {"Priority": "1", "Async": "true", "ChannelId": "call-3", "Variable": "NAME=a,B=injected"}
    await link.action("Originate", {**call, **raw})
    await until_live(link, "call-3")
    [channel] = await live_channels(link)
    answer = await link.action("Getvar", {"Channel": channel["Channel"], "Variable": "B"})
    assert answer["Value"] == "injected"


async def test_a_function_with_commas_can_be_set(link: Link, heard: Heard) -> None:
    variables = {"CALL": "call-4", "CHANNEL(hangup_handler_push)": "ended,s,1"}
    await place(link, "call-4", variables=variables)
    await until_live(link, "call-4")
    [channel] = await live_channels(link)
    await link.hangup(channel["Channel"])
    await until(lambda: bool(heard.of("UserEvent", UserEvent="Ended", Call="call-4")))


async def test_a_second_call_of_the_same_id_fails_while_the_first_lives(link: Link, heard: Heard) -> None:
    await place(link, "call-5")
    await until_live(link, "call-5")
    await place(link, "call-5")
    await until(lambda: len(heard.of("OriginateResponse", ActionID="call-5")) == 2)
    assert heard.of("OriginateResponse")[1]["Response"] == "Failure"
    assert len(await live_channels(link)) == 1


async def test_a_door_that_does_not_exist_is_refused(link: Link) -> None:
    with pytest.raises(AmiRefused, match="Extension does not exist"):
        await place(link, "call-6", exten="nowhere")


async def test_a_leg_is_moved_and_ended(link: Link, heard: Heard) -> None:
    await place(link, "call-7")
    await until_live(link, "call-7")
    [channel] = await live_channels(link)
    await link.redirect(channel["Channel"], "door", "room")
    await until(lambda: bool(heard.of("UserEvent", UserEvent="Moved", Uniqueid="call-7")))
    await link.hangup(channel["Channel"], 17)
    await until(lambda: bool(heard.of("Hangup", Uniqueid="call-7", Cause="17")))
    with pytest.raises(AmiRefused):
        await link.hangup(channel["Channel"])


async def test_an_asterisk_that_is_killed_is_noticed_at_once(mortal: Asterisk) -> None:
    link = await mortal.link()
    mortal.process.kill()
    async with asyncio.timeout(1):
        await link.wait_lost()
    with pytest.raises(AmiLost) as error:
        await place(link, "call-8")
    assert not error.value.sent


async def test_an_asterisk_that_hangs_is_noticed_within_the_deadline(mortal: Asterisk) -> None:
    link = await mortal.link(ping_every=0.2, ping_deadline=0.5)
    await mortal.stop_short()
    async with asyncio.timeout(0.2 + 0.5 + 0.5):
        assert "ping" in await link.wait_lost()


async def test_a_call_placed_with_an_asterisk_that_hangs_comes_late_but_once(
    mortal: Asterisk,
) -> None:
    link = await mortal.link(ping_every=60, timeout=1.0)
    await mortal.stop_short()
    with pytest.raises(AmiTimeout):
        await place(link, "call-9")
    await link.close()
    mortal.process.send_signal(signal.SIGCONT)
    successor = await mortal.link()
    await until_live(successor, "call-9")  # so AmiTimeout never means "not placed"
    assert len(await live_channels(successor)) == 1
    await successor.close()


async def until_live(link: Link, call: str) -> None:
    """The call is up."""
    async with asyncio.timeout(10):
        while True:
            for channel in await live_channels(link):
                if channel["Uniqueid"] == call and channel["ChannelStateDesc"] == "Up":
                    return
            await asyncio.sleep(0.02)
