"""An Asterisk manager that can be made to misbehave: what the real one cannot be asked to do."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from panoramisk.manager import Manager

from ami.link import AmiAddress, Link

SECRET = "very-secret-word"
Action = dict[str, str]


class Peer:
    """One connection, seen from Asterisk's side."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, heard: list[Action]) -> None:
        self.reader = reader
        self.writer = writer
        self.heard = heard
        self.gone = False  # the other side has closed

    async def next(self) -> Action:
        """The next action, its headers as a dict (a repeated one keeps its last value)."""
        text = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        lines = text.strip().split("\r\n")
        action = dict(line.split(": ", 1) for line in lines)
        self.heard.append(action)
        return action

    def send(self, *lines: str) -> None:
        self.writer.write("\r\n".join((*lines, "", "")).encode())

    def event(self, name: str, **headers: str) -> None:
        self.send(f"Event: {name}", *(f"{key}: {value}" for key, value in headers.items()))

    def answer(self, action: Action, **headers: str) -> None:
        headers = {"Response": "Success", "ActionID": action["ActionID"], **headers}
        self.send(*(f"{key}: {value}" for key, value in headers.items()))

    async def login(self) -> None:
        self.writer.write(b"Asterisk Call Manager/11.0.0\r\n")
        self.answer(await self.next(), Message="Authentication accepted")
        self.event("FullyBooted", Status="Fully Booted")

    def cut(self) -> None:
        """The line breaks, as when a router dies or Asterisk is killed."""
        self.writer.transport.abort()

    async def serve(self) -> None:
        """Says yes to everything from here on."""
        while True:
            self.answer(await self.next())


Script = Callable[[Peer], Awaitable[None]]


class FakeAsterisk:
    """Plays ``script`` on each connection. ``heard``: all actions of all connections."""

    def __init__(self) -> None:
        self.port = 0
        self.script: Script = Peer.login
        self.heard: list[Action] = []
        self.peers: list[Peer] = []

    def names(self) -> list[str]:
        return [action["Action"] for action in self.heard]

    @staticmethod
    async def until(condition: Callable[[], bool]) -> None:
        """Waits at most 5 seconds for something to become true."""
        async with asyncio.timeout(5):
            while not condition():  # noqa: ASYNC110  # nobody sets an Event for it
                await asyncio.sleep(0.005)

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer(reader, writer, self.heard)
        self.peers.append(peer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            await self.script(peer)
            await reader.read()
        peer.gone = True
        writer.close()


@pytest.fixture
async def fake() -> AsyncIterator[FakeAsterisk]:
    asterisk = FakeAsterisk()
    server = await asyncio.start_server(asterisk.talk, "127.0.0.1", 0)
    asterisk.port = server.sockets[0].getsockname()[1]
    yield asterisk
    server.close()
    for peer in asterisk.peers:
        peer.cut()


@pytest.fixture
async def open_link(fake: FakeAsterisk) -> AsyncIterator[Callable[..., Awaitable[Link]]]:
    """Opens links to the fake, with the options of Link.open; closes them at the end."""
    links = []

    async def open_one(on_event: Any = lambda event: None, **options: Any) -> Link:
        address = AmiAddress("127.0.0.1", fake.port, "careline", SECRET)
        options = {"timeout": 2.0, "ping_every": 60.0, **options}
        links.append(await Link.open(address, on_event, **options))
        return links[-1]

    yield open_one
    for link in links:
        await link.close()


@pytest.fixture
async def plain_panoramisk(fake: FakeAsterisk) -> AsyncIterator[Any]:
    """What the guards guard against: panoramisk as it comes, reconnecting at once; not connected
    yet, so that the script can be set before."""
    plain = Manager(host="127.0.0.1", port=fake.port, username="careline", secret=SECRET, reconnect_timeout=0)
    yield plain
    plain.connect = lambda: None  # no more reconnecting
    plain.close()
