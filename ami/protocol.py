"""panoramisk 1.4, cut down to one connection and made safe.

panoramisk brings the connection, the message parser and the serialiser. What it does around them
is dangerous for a service that dials people, and is replaced here:

=====================================================  =========================================
panoramisk 1.4 alone                                   here
=====================================================  =========================================
sends an unanswered action again after a reconnect     never reconnects, never keeps an action
an exception in an event callback kills the link       it is logged, the link goes on
drops characters that two TCP segments share           decodes incrementally
an Originate resolves on OriginateResponse, as a list  resolves on its own Response
events with our ActionID vanish into the action        reach the event callback
CR and LF in a value add headers or whole actions      refused before anything is sent
logs whole actions, the login secret among them        logs names of events and errors only
=====================================================  =========================================
"""

import asyncio
import codecs
import logging
import re
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from panoramisk.actions import Action
from panoramisk.ami_protocol import AMIProtocol
from panoramisk.manager import Manager
from panoramisk.message import Message

log = logging.getLogger("careline.ami")

GREETING = "Asterisk Call Manager/"
LONGEST_MESSAGE = 1 << 20  # characters; a peer that sends more without an end is not Asterisk

# Asterisk reads a line into 1,025 bytes and a message into 128 headers, and answers what is longer
# with an error that carries no ActionID (main/manager.c, get_input and do_message).
LONGEST_LINE = 1000
MOST_HEADERS = 120

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_BREAKS = re.compile(r"[\r\n\0]")
_VARIABLE = re.compile(r"_{0,2}[A-Za-z][A-Za-z0-9_]*(\([A-Za-z0-9_,:-]*\))?")
_SPECIAL = re.compile(r'[\\",()\[\]]')

Headers = Mapping[str, str | Sequence[str]]


class AmiError(Exception):
    """An action did not succeed. The subclasses say what is known of it."""


class AmiInvalid(AmiError, ValueError):  # noqa: N818  # named for what happened
    """A header cannot be sent as it is. Nothing was sent."""


class AmiRefused(AmiError):  # noqa: N818  # named for what happened
    """Asterisk answered ``Response: Error``. It did not do it. ``message`` is Asterisk's reason."""

    def __init__(self, action: str, message: str) -> None:
        super().__init__(f"Asterisk refused {action}: {message}")
        self.message = message


class AmiTimeout(AmiError):  # noqa: N818  # named for what happened
    """No answer in time. Asterisk may have done it, or may yet do it."""


class AmiLost(AmiError):  # noqa: N818  # named for what happened
    """The connection is gone. ``sent`` tells whether the action may have reached Asterisk:
    False is a proof that it did not; True leaves the outcome unknown."""

    def __init__(self, reason: str, *, sent: bool) -> None:
        super().__init__(reason)
        self.sent = sent


def checked(headers: Headers) -> dict[str, str | list[str]]:
    """The headers as they may be sent; :class:`AmiInvalid` for any that could become something
    else on the wire. The error names the header and never shows the value."""
    result: dict[str, str | list[str]] = {}
    count = 0
    for name, value in headers.items():
        if not _NAME.fullmatch(name):
            raise AmiInvalid(f"{name[:40]!r} is not a header name")
        lines = [value] if isinstance(value, str) else list(value)
        for line in lines:
            if _BREAKS.search(line):
                raise AmiInvalid(f"header {name}: the value holds a line break or NUL")
            try:
                size = len(name) + 2 + len(line.encode())
            except UnicodeEncodeError:
                raise AmiInvalid(f"header {name}: the value is not valid Unicode") from None
            if size > LONGEST_LINE:
                raise AmiInvalid(f"header {name}: {size} bytes, at most {LONGEST_LINE} are allowed")
        count += len(lines)
        result[name] = value if isinstance(value, str) else lines
    if count > MOST_HEADERS:
        raise AmiInvalid(f"{count} headers, at most {MOST_HEADERS} are allowed")
    return result


def variable(name: str, value: str) -> str:
    """The value of one ``Variable:`` header that sets exactly this variable to exactly this text.

    Asterisk splits the header at commas and takes out quotes and backslashes as it does with the
    arguments of an application (main/manager.c, man_do_variable_value; main/app.c,
    __ast_app_separate_args): each special character gets a backslash.
    """
    if not _VARIABLE.fullmatch(name):
        raise AmiInvalid(f"{name[:40]!r} is not the name of a channel variable or function")
    return f"{name}={_SPECIAL.sub(lambda found: chr(92) + found[0], value)}"


class Waiting(Action):  # type: ignore[misc]  # panoramisk has no types
    """An action on its way: ``future`` gets the messages of the answer, or an :class:`AmiError`.

    Without ``until`` the answer is the Response alone. With it, it is the events that carry the
    ActionID, up to the event named ``until`` (itself left out).
    """

    def __init__(self, headers: Headers, until: str | None) -> None:
        super().__init__(checked(headers))
        self.until = until
        self.collected: list[Mapping[str, str]] = []

    def take(self, message: Mapping[str, str]) -> bool:
        """Whether the message belongs to this action and needs to go nowhere else."""
        if "Event" not in message:
            if message["Response"] == "Error":
                self.fail(AmiRefused(self["Action"], message.get("Message", "no reason given")))
            elif self.until is None:
                self._resolve([message])
            return True
        if self.until is None:
            return False  # an OriginateResponse, say, which has a Response header too
        if message["Event"] == self.until:
            self._resolve(self.collected)
        else:
            self.collected.append(message)
        return True

    def fail(self, error: AmiError) -> None:
        if not self.future.done():
            self.future.set_exception(error)

    def _resolve(self, messages: list[Mapping[str, str]]) -> None:
        if not self.future.done():
            self.future.set_result(messages)


class OneConnection(Manager):  # type: ignore[misc]  # panoramisk has no types
    """A panoramisk Manager that connects once, and tells when that connection is over."""

    pinger: asyncio.TimerHandle | None

    def __init__(
        self,
        host: str,
        port: int,
        on_message: Callable[[Mapping[str, str]], None],
        on_lost: Callable[[str], None],
    ) -> None:
        super().__init__(
            host=host,
            port=port,
            encoding="utf-8",
            loop=asyncio.get_running_loop(),
            protocol_factory=lambda: GuardedProtocol(self),
            log=log,
        )
        self._on_message = on_message
        self.give_up = on_lost

    def connection_made(self, f: "asyncio.Future[Any]") -> None:
        if f.cancelled() or f.exception():
            return  # whoever awaits connect() gets the error; panoramisk would try again
        super().connection_made(f)
        if self.pinger is not None:  # panoramisk's ping has no deadline: the link has its own
            self.pinger.cancel()
            self.pinger = None

    def connection_lost(self, exc: object) -> None:
        reason = f"the connection broke: {type(exc).__name__}" if exc else "Asterisk closed it"
        self.give_up(reason)

    def dispatch(self, event: Mapping[str, str]) -> None:
        try:
            self._on_message(event)
        except Exception as error:  # whatever the callback did, the line must live
            # The text of the error may hold a number or a name: its kind and place must do.
            kind, where = type(error).__name__, "".join(traceback.format_tb(error.__traceback__))
            log.warning("%s in the callback for %s\n%s", kind, event.get("Event"), where)


class GuardedProtocol(AMIProtocol):  # type: ignore[misc]  # panoramisk has no types
    """One TCP connection: bytes in, whole messages out."""

    version: str | None
    closed: bool
    responses: dict[str, Waiting]

    def __init__(self, manager: OneConnection) -> None:
        self._manager = manager
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._rest = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.factory = self._manager  # panoramisk sets it later: a quick answer would find None

    def send(self, data: Waiting, as_list: object = None) -> None:
        """The answer comes in ``data.future``."""
        self.responses[data.id] = data
        self.transport.write(str(data).encode())

    def forget(self, action: Waiting) -> None:
        """The answer is no longer awaited; a late one is dropped."""
        self.responses.pop(action.id, None)

    def data_received(self, data: bytes) -> None:
        text = self._rest + self._decoder.decode(data)
        if self.version is None:
            if not text.startswith(GREETING[: len(text)]):
                self._give_up("what answers there is not Asterisk's manager")
                return
            line, end, text = text.partition("\r\n")
            if not end:
                self._rest = line
                return
            self.version = line.removeprefix(GREETING)
        *messages, self._rest = text.split("\r\n\r\n")
        for part in messages:
            message = Message.from_line(part)
            if message is not None:
                self.handle_message(message)
        if len(self._rest) > LONGEST_MESSAGE:
            self._give_up("a message without an end")

    def handle_message(self, message: Message) -> None:
        for name, value in list(message.items()):
            if isinstance(value, list):  # a repeated header: one line each
                message[name] = "\n".join(value)
        action = self.responses.get(message.get("ActionID"))
        if action is not None and action.take(message):
            return
        if "Event" in message:
            self.factory.dispatch(message)

    def connection_lost(self, exc: object) -> None:
        if not self.closed:
            self.closed = True
            self.factory.connection_lost(exc)

    def close(self) -> None:
        """Drops the connection at once, also when the peer reads nothing any more."""
        if not self.closed:
            self.closed = True
            self.transport.abort()

    def _give_up(self, reason: str) -> None:
        self.close()
        self._manager.give_up(reason)
