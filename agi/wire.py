"""pyst2 0.5.1's AGI over one FastAGI connection, with its primitives made safe.

pyst2 brings the commands. What it does below them breaks a service with many calls in threads and
is replaced here: ``__init__`` (signal handlers, fails off the main thread), the environment block,
quoting, sending and reading. Each defect of the original has a test:

===============================================  ==================================================
pyst2 0.5.1 alone                                here
===============================================  ==================================================
a HANGUP line or the end of input: ValueError    CallerGone
520 and then the end of input: spins for ever    AgiError or CallerGone
511 (the channel is dead): AGIUnknownError       CallerGone
quotes and line breaks reach Asterisk as a new   escaped, or replaced by a blank
argument or a new command
waits for ever for an answer                     every answer has a deadline
every line goes to standard error                nothing does
a variable whose value is "hangup" ends the      a value is a value
call; a value of two lines shifts all answers
===============================================  ==================================================
"""

import logging
import re
import socket
import time

from asterisk.agi import AGI

log = logging.getLogger("careline.agi")

LONGEST_COMMAND = 8000  # bytes; Asterisk takes what is beyond 8,192 for another command
LONGEST_LINE = 65536  # bytes; a peer that sends more without an end is not Asterisk
MOST_LINES = 200  # of an environment block, or of a usage text
ANSWER_SECONDS = 10.0  # for commands that Asterisk answers at once

_CONTROL = re.compile(r"[\x00-\x1f\x7f\u0085\u2028\u2029]")
_SPECIAL = re.compile(r'[\\"]')
_RESULT = re.compile(r"result=(\S*)(?: \((.*)\))?(?: endpos=\d+)?", re.DOTALL)


class CallerGone(Exception):  # noqa: N818  # named for what happened
    """The call is over on Asterisk's side: nothing more can be said or heard on it."""


class AgiError(Exception):
    """A command failed, or Asterisk does not answer, or the peer is not Asterisk."""


class Wire(AGI):  # type: ignore[misc]  # pyst2 has no types
    """One connection, used by one thread; only :meth:`fail` may be called from another."""

    def __init__(self, connection: socket.socket, greeting_seconds: float) -> None:
        """Reads the environment block. CallerGone or AgiError when it does not come in time."""
        # AGI.__init__ is skipped on purpose: see above.
        self._socket = connection
        self._input = bytearray()
        self._end: Exception | None = None  # why nothing more can be asked
        self._deadline = time.monotonic() + greeting_seconds
        self._got_sighup = False  # read by AGI.execute
        self.env: dict[str, str] = {}
        self._get_agi_env()

    def ask(self, command: str, *args: object, within: float = ANSWER_SECONDS) -> tuple[str, str]:
        """Sends one command, each argument quoted, and returns the result and the text in brackets
        behind it. ``within``: seconds until the answer must be there."""
        self._check()
        self._deadline = time.monotonic() + within
        value, text = self.execute(command, *map(self._quote, args))["result"]
        if self._end is not None:  # fail() interrupted the step: its result means nothing
            raise self._end
        return value, text

    def skip_usage(self) -> None:
        """Reads a usage text up to its end."""
        for _ in range(MOST_LINES):
            if self._line().startswith("520 "):
                return
        raise self._over(AgiError("a usage text without an end"))

    def fail(self, reason: str) -> None:
        """Ends the session so that AGISTATUS becomes FAILURE and the dialplan's fall-back acts.

        Asterisk takes a line that begins with "failure" for that (res/res_agi.c, run_agi), also in
        the middle of a sound. A plain close would leave AGISTATUS at SUCCESS.
        """
        self._over(AgiError(reason))
        try:
            self._socket.settimeout(1.0)
            self._socket.sendall(b"failure\n")
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits for an answer
        except OSError:
            pass  # Asterisk has closed it already

    def close(self) -> None:
        self._over(CallerGone("the session is closed"))
        self._socket.close()

    # What pyst2's commands stand on.

    def _get_agi_env(self) -> None:
        for _ in range(MOST_LINES):
            line = self._line()
            if not line:
                return
            name, colon, value = line.partition(":")
            if not (colon and name.startswith("agi_")):
                raise self._over(AgiError("what calls there is not Asterisk"))
            self.env[name] = value.strip()
        raise self._over(AgiError("an environment block without an end"))

    def _quote(self, string: object) -> str:
        text = _CONTROL.sub(" ", str(string))
        return '"' + _SPECIAL.sub(lambda found: "\\" + found[0], text) + '"'

    def send_command(self, command: str, *args: str) -> None:
        line = " ".join((command, *args)).encode(errors="replace")
        if len(line) > LONGEST_COMMAND or b"\n" in line:
            raise AgiError(f"{command}: longer than {LONGEST_COMMAND} bytes, or with a line break")
        try:
            self._socket.settimeout(ANSWER_SECONDS)
            self._socket.sendall(line + b"\n")
        except OSError:
            raise self._over(CallerGone("Asterisk has closed the connection")) from None

    def get_result(self, stdin: object = None) -> dict[str, tuple[str, str]]:
        line = self._line()
        while line.startswith("100"):  # "trying": the answer follows
            line = self._line()
        code, rest = line[:3], line[4:]
        if code == "200":
            if " (" in rest:
                while not re.search(r"\)( endpos=\d+)?$", rest):  # a value of several lines
                    rest += "\n" + self._line()
            found = _RESULT.fullmatch(rest)
            if found:
                return {"result": (found[1], found[2] or "")}
        if code == "511" or line == "HANGUP":
            raise self._over(CallerGone("the caller has hung up"))
        if line.startswith("520-"):
            self.skip_usage()
        if code in ("510", "520"):
            raise AgiError(f"Asterisk does not understand the command: {code}")
        raise self._over(AgiError("an answer that is not AGI"))

    # Reading.

    def _check(self) -> None:
        """Before a command: the session must be alive and nothing unread from before."""
        if self._end is not None:
            raise self._end
        self._socket.settimeout(0)
        try:
            data = self._socket.recv(LONGEST_LINE)
        except BlockingIOError:
            data = None
        except OSError:
            data = b""
        if data == b"":
            raise self._over(CallerGone("Asterisk has closed the connection"))
        self._input += data or b""
        if self._input:
            lines = bytes(self._input).split(b"\n")
            self._input.clear()
            if b"HANGUP" in lines:
                raise self._over(CallerGone("the caller has hung up"))
            log.warning("%d lines from Asterisk that nobody asked for", len(lines))

    def _line(self) -> str:
        while (end := self._input.find(b"\n")) < 0:
            if len(self._input) > LONGEST_LINE:
                raise self._over(AgiError("a line without an end"))
            left = self._deadline - time.monotonic()
            if left <= 0:
                raise self._over(AgiError("Asterisk does not answer in time"))
            try:
                self._socket.settimeout(left)
                data = self._socket.recv(8192)
            except TimeoutError:
                continue
            except OSError:
                data = b""
            if not data:
                raise self._over(CallerGone("Asterisk has closed the connection"))
            self._input += data
        line = self._input[:end].decode(errors="replace").rstrip("\r")
        del self._input[: end + 1]
        return line

    def _over(self, reason: Exception) -> Exception:
        """Nothing can be asked any more; the first reason is the one that is told from then on."""
        if self._end is None:
            self._end = reason
        return self._end
