"""Many calls at once, bad clients among them: each call is a world of its own."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from agi.server import AgiServer
from agi.session import AgiError, Session

BLOCK = b"agi_network: yes\nagi_network_script: contact\n\n"
Serve = Callable[..., AgiServer]


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.005)


@pytest.fixture
def serve() -> Iterator[Serve]:
    servers = []

    def start(handler: Callable[[Session], None], **options: Any) -> AgiServer:
        servers.append(AgiServer("127.0.0.1", 0, handler, **options))
        servers[-1].start()
        return servers[-1]

    yield start
    for server in servers:
        with contextlib.suppress(OSError):
            server.stop(0)


class Caller:
    """Asterisk's side of one call."""

    def __init__(self, server: AgiServer, block: bytes = BLOCK) -> None:
        self.connection = socket.create_connection(("127.0.0.1", server.port), timeout=5)
        self.lines = self.connection.makefile("rb")
        with contextlib.suppress(OSError):  # a refused call may be closed already
            self.connection.sendall(block)

    def hears(self) -> str:
        """The next command, empty when the server has closed."""
        try:
            return self.lines.readline().decode().removesuffix("\n")
        except ConnectionError:
            return ""

    def says(self, reply: str) -> None:
        self.connection.sendall(reply.encode() + b"\n")

    def leaves(self) -> None:
        self.lines.close()
        self.connection.close()


def answer_and_leave(session: Session) -> None:
    session.answer()


def test_a_call_is_handed_to_the_handler_and_back(serve: Serve) -> None:
    paths: list[str] = []

    def handler(session: Session) -> None:
        paths.append(session.path)
        session.answer()

    server = serve(handler)
    caller = Caller(server)
    assert caller.hears() == "ANSWER"
    caller.says("200 result=0")
    assert caller.hears() == ""  # a plain end: AGISTATUS=SUCCESS
    assert paths == ["contact"]
    until(lambda: server.running == 0)


def test_fifty_calls_at_once_are_fifty_conversations(serve: Serve) -> None:
    together = threading.Barrier(50, timeout=10)

    def meet(session: Session) -> None:
        together.wait()
        session.set("ME", session.path)

    server = serve(meet)
    callers = [Caller(server, BLOCK.replace(b"contact", b"c%d" % n)) for n in range(50)]
    for number, caller in enumerate(callers):
        assert caller.hears() == f'SET VARIABLE "ME" "c{number}"'
        caller.says("200 result=1")
        assert caller.hears() == ""


@pytest.mark.parametrize(
    "junk", [b"", b"GET / HTTP/1.1\r\n\r\n", b"\x00\xff" * 5000, b"agi_x: 1\n" * 1000, b"x" * 99999]
)
def test_a_client_that_is_not_asterisk_harms_nobody(serve: Serve, junk: bytes) -> None:
    server = serve(answer_and_leave)
    bad = Caller(server, junk)
    good = Caller(server)
    assert good.hears() == "ANSWER"
    bad.leaves()
    good.says("200 result=0")
    assert good.hears() == ""
    until(lambda: server.running == 0)


def test_a_client_that_connects_and_says_nothing_is_dropped(serve: Serve) -> None:
    server = serve(answer_and_leave, greeting_seconds=0.1)
    idle = Caller(server, b"agi_network: yes\n")
    assert idle.hears() == ""
    until(lambda: server.running == 0)


def test_a_mistake_ends_only_its_call_and_with_the_fall_back(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    def mistaken(session: Session) -> None:
        if session.path == "bad":
            raise KeyError(session.env["agi_callerid"])
        session.answer()

    server = serve(mistaken)
    good = Caller(server)
    bad = Caller(server, b"agi_network_script: bad\nagi_callerid: 13912345678\n\n")
    assert bad.hears() == "failure"  # AGISTATUS=FAILURE
    assert good.hears() == "ANSWER"
    until(lambda: "KeyError in a conversation" in caplog.text)
    assert "13912345678" not in caplog.text


def test_a_caller_who_hangs_up_is_no_mistake(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    server = serve(answer_and_leave)
    caller = Caller(server)
    assert caller.hears() == "ANSWER"
    caller.says("HANGUP")
    assert caller.hears() == ""
    until(lambda: server.running == 0)
    assert caplog.text == ""


def test_more_calls_than_allowed_get_the_fall_back_at_once(serve: Serve) -> None:
    server = serve(answer_and_leave, max_calls=2)
    first, second = Caller(server), Caller(server)
    assert first.hears() == second.hears() == "ANSWER"
    for _ in range(100):
        refused = Caller(server)
        assert refused.hears() == "failure"
        refused.leaves()
    first.says("200 result=0")
    until(lambda: server.running == 1)
    assert Caller(server).hears() == "ANSWER"


def test_stopping_lets_running_calls_end_and_takes_no_new_ones(serve: Serve) -> None:
    server = serve(answer_and_leave)
    caller = Caller(server)
    assert caller.hears() == "ANSWER"
    cut: list[int] = []
    stopping = threading.Thread(target=lambda: cut.append(server.stop(5)))
    stopping.start()
    until(lambda: refuses_connections(server))
    caller.says("200 result=0")
    stopping.join()
    assert cut == [0]
    assert caller.hears() == ""


def test_a_call_that_does_not_end_gets_the_fall_back_when_we_stop(serve: Serve) -> None:
    told: list[str] = []

    def listens(session: Session) -> None:
        try:
            session.wait_key(60)
        except AgiError as error:
            told.append(str(error))
            raise

    server = serve(listens)
    caller, idle = Caller(server), Caller(server, b"")
    assert caller.hears().startswith("WAIT FOR DIGIT")
    started = time.monotonic()
    assert server.stop(0.1) == 1
    assert time.monotonic() - started < 2
    assert caller.hears() == "failure"
    assert idle.hears() == ""
    assert told == ["the service is stopping"]
    assert server.running == 0


def test_a_taken_port_is_an_error(serve: Serve) -> None:
    server = serve(answer_and_leave)
    with pytest.raises(OSError, match="in use"):
        AgiServer("127.0.0.1", server.port, answer_and_leave).start()


def refuses_connections(server: AgiServer) -> bool:
    try:
        socket.create_connection(("127.0.0.1", server.port), timeout=1).close()
    except OSError:
        return True
    return False
