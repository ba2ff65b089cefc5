"""A link is one connection: it opens whole or not at all, and its end is noticed."""

import asyncio
import logging
from typing import Any

import pytest

from ami.link import AmiAddress, Link
from ami.protocol import LONGEST_MESSAGE, AmiLost, AmiRefused, AmiTimeout


def test_an_address_is_read_from_a_url_and_keeps_its_secret_to_itself() -> None:
    address = AmiAddress.from_url("ami://care%40line:p%3A%2Fw@10.0.0.7:15038")
    assert address == AmiAddress("10.0.0.7", 15038, "care@line", "p:/w")
    assert "p:/w" not in repr(address)
    assert AmiAddress.from_url("ami://a:b@host").port == 5038


@pytest.mark.parametrize("url", ["http://a:hidden@host", "ami://host", "ami://a@host", "ami://a:hidden@:1", "hidden"])
def test_a_url_that_lacks_a_part_is_refused_without_showing_the_secret(url: str) -> None:
    with pytest.raises(ValueError, match="AMI address") as error:
        AmiAddress.from_url(url)
    assert "hidden" not in str(error.value)


async def test_a_link_logs_in_and_hears_events(fake: Any, open_link: Any) -> None:
    events: list[str] = []
    link = await open_link(lambda event: events.append(event["Event"]))
    assert fake.heard[0]["Action"] == "Login"
    assert fake.heard[0]["Username"] == "careline"
    fake.peers[0].event("Hangup", Cause="17")
    await fake.until(lambda: events == ["FullyBooted", "Hangup"])
    assert not link.lost.is_set()


async def test_an_asterisk_that_still_boots_is_waited_for(fake: Any, open_link: Any) -> None:
    async def boots_later(peer: Any) -> None:
        peer.writer.write(b"Asterisk Call Manager/11.0.0\r\n")
        peer.answer(await peer.next())

    fake.script = boots_later
    opening = asyncio.create_task(open_link())
    await fake.until(lambda: fake.names() == ["Login"])
    await asyncio.sleep(0.05)
    assert not opening.done()
    fake.peers[0].event("FullyBooted")
    await opening


async def test_an_asterisk_that_never_boots_is_a_timeout(fake: Any, open_link: Any) -> None:
    async def never_boots(peer: Any) -> None:
        peer.writer.write(b"Asterisk Call Manager/11.0.0\r\n")
        peer.answer(await peer.next())

    fake.script = never_boots
    with pytest.raises(AmiTimeout, match="no login in"):
        await open_link(timeout=0.1)


async def refuses_the_login(peer: Any) -> None:
    peer.writer.write(b"Asterisk Call Manager/11.0.0\r\n")
    peer.answer(await peer.next(), Response="Error", Message="Authentication failed")
    peer.writer.close()


async def test_a_wrong_secret_is_an_error_and_is_tried_once(fake: Any, open_link: Any) -> None:
    fake.script = refuses_the_login
    with pytest.raises(AmiRefused, match="Authentication failed"):
        await open_link()
    await asyncio.sleep(0.2)
    assert fake.names() == ["Login"]


async def test_panoramisk_alone_tries_it_for_ever_and_tells_nobody(fake: Any, plain_panoramisk: Any) -> None:
    fake.script = refuses_the_login
    plain_panoramisk.connect()
    await fake.until(lambda: fake.names().count("Login") > 2)
    assert not plain_panoramisk.authenticated


async def test_a_peer_that_says_nothing_is_a_timeout(fake: Any, open_link: Any) -> None:
    async def says_nothing(peer: Any) -> None:
        await peer.next()

    fake.script = says_nothing
    with pytest.raises(AmiTimeout, match="no login in"):
        await open_link(timeout=0.1)
    await fake.until(lambda: fake.peers[0].gone)  # the socket is not left open


async def test_a_peer_that_is_not_asterisk_is_not_talked_to(fake: Any, open_link: Any) -> None:
    async def is_ssh(peer: Any) -> None:
        peer.writer.write(b"SSH-2.0-OpenSSH_9.2\r\n")

    fake.script = is_ssh
    with pytest.raises(AmiLost, match="not Asterisk"):
        await open_link()


async def test_a_peer_that_closes_at_once_is_an_error(fake: Any, open_link: Any) -> None:
    async def closes(peer: Any) -> None:
        peer.cut()

    fake.script = closes
    with pytest.raises(AmiLost):
        await open_link()


async def test_nobody_listening_is_an_error_that_proves_that_nothing_was_sent() -> None:
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    with pytest.raises(AmiLost) as error:
        await Link.open(AmiAddress("127.0.0.1", port, "a", "b"), lambda event: None)
    assert not error.value.sent


async def test_a_cancelled_open_leaves_no_connection(fake: Any, open_link: Any) -> None:
    async def says_nothing(peer: Any) -> None:
        await peer.next()

    fake.script = says_nothing
    opening = asyncio.create_task(open_link())
    await fake.until(lambda: fake.names() == ["Login"])
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    await fake.until(lambda: fake.peers[0].gone)


async def test_the_end_of_the_connection_is_noticed_and_final(fake: Any, open_link: Any) -> None:
    link = await open_link()
    fake.peers[0].cut()
    async with asyncio.timeout(2):
        reason = await link.wait_lost()
    assert reason == link.lost_reason != ""
    await asyncio.sleep(0.1)
    assert len(fake.peers) == 1  # it does not connect again


async def test_a_peer_that_goes_silent_is_noticed_by_the_ping(fake: Any, open_link: Any) -> None:
    async def goes_silent(peer: Any) -> None:
        await peer.login()
        for _ in range(2):
            peer.answer(await peer.next(), Ping="Pong")

    fake.script = goes_silent
    link = await open_link(ping_every=0.05, ping_deadline=0.2)
    await fake.until(lambda: fake.names().count("Ping") == 2)
    assert not link.lost.is_set()
    async with asyncio.timeout(2):
        assert "ping" in await link.wait_lost()


async def test_a_peer_that_refuses_pings_is_alive(fake: Any, open_link: Any) -> None:
    async def refuses_pings(peer: Any) -> None:
        await peer.login()
        while True:
            peer.answer(await peer.next(), Response="Error", Message="Permission denied")

    fake.script = refuses_pings
    link = await open_link(ping_every=0.01, ping_deadline=0.5)
    await fake.until(lambda: fake.names().count("Ping") >= 5)
    assert not link.lost.is_set()


async def test_a_message_without_an_end_does_not_fill_the_memory(fake: Any, open_link: Any) -> None:
    link = await open_link()
    fake.peers[0].writer.write(b"Event: Endless\r\n" + b"x" * (LONGEST_MESSAGE + 1))
    async with asyncio.timeout(5):
        assert "without an end" in await link.wait_lost()


async def test_closing_twice_is_harmless(open_link: Any) -> None:
    link = await open_link()
    await link.close()
    await link.close()
    assert link.lost_reason == "closed by us"


async def test_the_secret_is_in_no_log(fake: Any, open_link: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    link = await open_link()
    secret = fake.heard[0]["Secret"]
    fake.peers[0].cut()
    await link.wait_lost()
    assert secret
    assert secret not in caplog.text
