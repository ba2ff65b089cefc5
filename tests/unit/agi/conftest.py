"""Asterisk's side of a FastAGI connection, played from a list of replies."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from agi.session import Session

ENVIRONMENT = (
    "agi_network: yes\n"
    "agi_network_script: contact?call=0b2c\n"
    "agi_channel: PJSIP/trunk-00000001\n"
    "agi_uniqueid: 0b2c\n"
    "agi_callerid: 13912345678\n"
    "agi_calleridname: 张小明: \n"
    "\n"
)


class Asterisk(threading.Thread):
    """Answers each command with the next reply (text, sent as it is); closes after the last."""

    def __init__(self, connection: socket.socket, replies: tuple[str, ...]) -> None:
        super().__init__(daemon=True)
        self.connection = connection
        self.replies = list(replies)
        self.commands: list[str] = []
        self.start()

    def run(self) -> None:
        with contextlib.suppress(OSError), self.connection.makefile("rb") as lines:
            self.send(ENVIRONMENT)
            while self.replies:
                command = lines.readline()
                if not command:
                    break
                self.commands.append(command.decode().removesuffix("\n"))
                self.send(self.replies.pop(0))
            self.connection.shutdown(socket.SHUT_WR)

    def send(self, text: str) -> None:
        self.connection.sendall(text.encode())


Call = Callable[..., tuple[Session, Asterisk]]


@pytest.fixture
def call() -> Iterator[Call]:
    """``session, asterisk = call("200 result=0\\n", …)``."""
    opened: list[socket.socket] = []

    def open_one(*replies: str, **options: Any) -> tuple[Session, Asterisk]:
        ours, theirs = socket.socketpair()
        opened.extend((ours, theirs))
        asterisk = Asterisk(theirs, replies)
        return Session(ours, **options), asterisk

    yield open_one
    for connection in opened:
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
        connection.close()
