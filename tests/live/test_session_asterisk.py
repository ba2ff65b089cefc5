"""Conversations on a real Asterisk: a Local call whose other half listens and presses keys."""

import asyncio
import math
import socket
import struct
import threading
import uuid
import wave
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any

import pytest

from agi.server import AgiServer
from agi.session import AgiError, CallerGone, Session
from ami.link import Link
from tests.live.bare_asterisk import Asterisk, until

DIALPLAN = """
[phone]
exten => listens,1,Answer()
 same => n,WaitExten(60)
exten => presses,1,Answer()
 same => n,Wait(0.5)
 same => n,SendDTMF(1ww15#)
 same => n,WaitExten(60)
exten => hangs-up,1,Answer()
 same => n,Wait(0.5)
 same => n,Hangup()
[door]
exten => loud,1,Answer()
 same => n,Goto(agi,1)
exten => quiet,1,Answer()
 same => n,Set(AGISIGHUP=no)
 same => n,Goto(agi,1)
exten => agi,1,AGI(agi://127.0.0.1:${PORT}/contact?call=${UNIQUEID})
 same => n,UserEvent(Came,Call: ${UNIQUEID},Status: ${AGISTATUS},Next: ${NEXT})
 same => n,Hangup()
exten => h,1,UserEvent(Ended,Call: ${UNIQUEID},Status: ${AGISTATUS})
"""


class Stage:
    """Calls from a real Asterisk to a real AgiServer, one after another."""

    def __init__(self, asterisk: Asterisk, link: Link, events: list[Mapping[str, str]]) -> None:
        self.asterisk = asterisk
        self.link = link
        self.events = events
        self.sound = tone(asterisk)
        self.port = 0
        self.result: Any = None
        self.error: Exception | None = None
        self.done = threading.Event()

    def serve(self, conversation: Callable[[Session], Any], **options: Any) -> AgiServer:
        """A server whose handler keeps what the conversation returned or raised."""

        def handler(session: Session) -> None:
            try:
                self.result = conversation(session)
            except Exception as error:
                self.error = error
                raise
            finally:
                self.done.set()

        server = AgiServer("127.0.0.1", 0, handler, **options)
        server.start()
        self.port = server.port
        return server

    async def call(self, phone: str, door: str = "loud") -> str:
        call = f"call-{uuid.uuid4().hex}"
        await self.link.originate(
            channel=f"Local/{phone}@phone",
            context="door",
            exten=door,
            caller_id="13912345678",
            timeout_ms=5000,
            channel_id=call,
            variables={"PORT": str(self.port)},
        )
        return call

    async def came(self, call: str, name: str = "Came") -> Mapping[str, str]:
        """What the dialplan says when the conversation is over."""
        found: list[Mapping[str, str]] = []

        def look() -> bool:
            found[:] = [e for e in self.events if (e.get("UserEvent"), e.get("Call")) == (name, call)]
            return bool(found)

        await until(look)
        return found[0]

    async def finished(self) -> None:
        await until(self.done.is_set)


def tone(asterisk: Asterisk) -> str:
    """A sound of three seconds; its name as Asterisk wants it."""
    samples = [int(8000 * math.sin(n / 3)) for n in range(3 * 8000)]
    with wave.open(str(asterisk.folder / "tone.wav"), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(struct.pack(f"<{len(samples)}h", *samples))
    return f"{asterisk.inside}/tone"


@pytest.fixture(scope="module")
def asterisk() -> Iterator[Asterisk]:
    server = Asterisk(DIALPLAN)
    yield server
    server.remove()


@pytest.fixture
async def stage(asterisk: Asterisk) -> AsyncIterator[Stage]:
    events: list[Mapping[str, str]] = []
    link = await asterisk.link(events.append)
    yield Stage(asterisk, link, events)
    for channel in await link.collect("CoreShowChannels", until="CoreShowChannelsComplete"):
        if not channel["Uniqueid"].endswith(";2"):
            await link.hangup(channel["Channel"])
    await link.close()


async def test_a_contact_hears_a_question_and_answers_with_keys(stage: Stage) -> None:
    def conversation(session: Session) -> tuple[str | None, str]:
        session.answer()
        key = session.play_all([stage.sound, stage.sound], "123")
        number = session.read_number([stage.sound], 3, 3.0)
        session.set("NEXT", "hangup")
        return key, number

    server = stage.serve(conversation)
    came = await stage.came(await stage.call("presses"))
    assert stage.result == ("1", "15")
    assert (came["Status"], came["Next"]) == ("SUCCESS", "hangup")
    server.stop()


async def test_the_session_knows_the_call_and_text_survives_the_way(stage: Stage) -> None:
    text = '张小明 "a" \\ ${CHANNEL}, b; (c) [d] \\"\nEXEC Hangup'

    def conversation(session: Session) -> list[str | None]:
        session.set("TEXT", text)
        names = ["TEXT", "CHANNEL(state)", "NOT_SET"]
        return [session.unique_id, session.caller_id, session.path, *map(session.get, names)]

    server = stage.serve(conversation)
    call = await stage.call("listens")
    await stage.came(call)
    meant = text.replace("\n", " ")
    path = f"contact?call={call}"
    assert stage.result == [call, "13912345678", path, meant, "Up", None]
    server.stop()


async def test_silence_is_no_key(stage: Stage) -> None:
    server = stage.serve(lambda session: (session.wait_key(0.3), session.wait_key(-1)))
    await stage.came(await stage.call("listens"))
    assert stage.result == (None, None)
    server.stop()


@pytest.mark.parametrize("door", ["loud", "quiet"])
@pytest.mark.parametrize("step", ["play", "wait_key", "exec"])
async def test_a_caller_who_hangs_up_in_a_step_is_gone(stage: Stage, door: str, step: str) -> None:
    def conversation(session: Session) -> None:
        if step == "play":
            session.play_all([stage.sound] * 3, "1")
        elif step == "wait_key":
            session.wait_key(10)
        else:
            session.exec("WaitExten", "10")
            session.play(stage.sound)

    server = stage.serve(conversation)
    call = await stage.call("hangs-up", door)
    await stage.finished()
    assert isinstance(stage.error, CallerGone)
    assert (await stage.came(call, "Ended"))["Status"] == "HANGUP"
    server.stop()


async def test_a_missing_sound_does_not_break_the_conversation(stage: Stage) -> None:
    def conversation(session: Session) -> tuple[str | None, list[str]]:
        key = session.play_all(["/not/there", stage.sound], "1")
        session.set("NEXT", "hangup")
        return key, session.missing_sounds

    server = stage.serve(conversation)
    came = await stage.came(await stage.call("presses"))
    assert stage.result == ("1", ["/not/there"])
    # Asterisk calls the whole AGI a failure now: the dialplan has to go by NEXT.
    assert (came["Status"], came["Next"]) == ("FAILURE", "hangup")
    server.stop()


async def test_an_application_runs_and_a_missing_one_is_an_error(stage: Stage) -> None:
    server = stage.serve(lambda session: (session.exec("Verbose", "1", "x"), session.exec("No")))
    came = await stage.came(await stage.call("listens"))
    assert isinstance(stage.error, AgiError)
    assert came["Status"] == "FAILURE"
    server.stop()


async def test_a_mistake_gives_the_call_to_the_fall_back(stage: Stage) -> None:
    server = stage.serve(lambda session: int(session.path))
    assert (await stage.came(await stage.call("listens")))["Status"] == "FAILURE"
    server.stop()


async def test_a_full_server_gives_the_call_to_the_fall_back(stage: Stage) -> None:
    server = stage.serve(lambda session: None, max_calls=0)
    for call in [await stage.call("listens") for _ in range(20)]:
        assert (await stage.came(call))["Status"] == "FAILURE"
    server.stop()


async def test_a_stopped_server_gives_running_and_new_calls_to_the_fall_back(stage: Stage) -> None:
    playing = threading.Event()

    def conversation(session: Session) -> None:
        playing.set()
        session.play_all([stage.sound] * 10)

    server = stage.serve(conversation)
    running = await stage.call("listens")
    await until(playing.is_set)
    assert await asyncio.to_thread(server.stop, 0.2) == 1
    async with asyncio.timeout(1):  # in the middle of the sound
        assert (await stage.came(running))["Status"] == "FAILURE"
    assert (await stage.came(await stage.call("listens")))["Status"] == "FAILURE"


async def test_a_server_that_only_closes_looks_like_a_success(stage: Stage) -> None:
    """Why Wire.fail exists, and why the dialplan must go by what the conversation set."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        stage.port = listener.getsockname()[1]
        call = await stage.call("listens")
        connection, _ = await asyncio.to_thread(listener.accept)
        await until(lambda: bool(connection.recv(65536)))
        connection.close()
    came = await stage.came(call)
    assert (came["Status"], came["Next"]) == ("SUCCESS", "")


async def test_an_asterisk_that_is_killed_is_a_caller_gone() -> None:
    mortal = Asterisk(DIALPLAN)
    playing = threading.Event()
    stage = Stage(mortal, await mortal.link(), [])

    def conversation(session: Session) -> None:
        playing.set()
        session.play_all([stage.sound] * 10)

    server = stage.serve(conversation)
    await stage.call("listens")
    await until(playing.is_set)
    mortal.process.kill()
    await stage.finished()
    assert isinstance(stage.error, CallerGone)
    server.stop()
    mortal.remove()
