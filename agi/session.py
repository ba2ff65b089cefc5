"""One call as a conversation sees it: play, listen to keys, read and set variables.

Synchronous: a call has a thread of its own. Each method raises :class:`CallerGone` as soon as it
is known that the call is over, and :class:`AgiError` when Asterisk cannot do what was asked.
"""

import logging
import re
import socket
from collections.abc import Sequence

from agi.wire import ANSWER_SECONDS, AgiError, CallerGone, Wire

__all__ = ["AgiError", "CallerGone", "Session"]

log = logging.getLogger("careline.agi")

DIGITS = "0123456789"
KEYS = DIGITS + "*#ABCD"
_STRAY_KEYS = 20  # of a hand that rests on the star: then the number ends
_APPLICATION = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_VARIABLE = re.compile(r"_{0,2}[A-Za-z][A-Za-z0-9_]*(\([A-Za-z0-9_,:./-]*\))?")
_UNSAFE_ARGUMENT = re.compile(r'[,"\\\x00-\x1f\x7f]')


class Session:
    """A call that the dialplan handed to us by ``AGI(agi://…)``.

    ``env``: the ``agi_*`` variables. ``missing_sounds``: what :meth:`play` could not find.
    ``step_seconds`` must be longer than the longest sound.
    """

    def __init__(
        self,
        connection: socket.socket,
        *,
        greeting_seconds: float = 5.0,
        step_seconds: float = 120.0,
    ) -> None:
        self._wire = Wire(connection, greeting_seconds)
        self._step_seconds = step_seconds
        self.env = self._wire.env
        self.missing_sounds: list[str] = []

    @property
    def channel(self) -> str:
        return self.env.get("agi_channel", "")

    @property
    def unique_id(self) -> str:
        return self.env.get("agi_uniqueid", "")

    @property
    def caller_id(self) -> str:
        """The caller's number, empty if it is not known."""
        number = self.env.get("agi_callerid", "")
        return "" if number == "unknown" else number

    @property
    def path(self) -> str:
        """What follows the port in the dialplan's ``agi://host:port/…``, the query included."""
        return self.env.get("agi_network_script", "")

    def answer(self) -> None:
        if self._wire.ask("ANSWER")[0] != "0":
            raise CallerGone("the call could not be answered")

    def hangup(self) -> None:
        self._wire.ask("HANGUP")

    def play(self, sound: str, keys: str = "") -> str | None:
        """Plays a sound (a name without extension) to its end or to the first of ``keys``; returns
        that key. Other keys are swallowed. A missing sound counts as played; it is logged and
        stands in ``missing_sounds``. Asterisk then sets AGISTATUS to FAILURE at the end, however
        the conversation went: the dialplan must go by a variable that the conversation sets.
        """
        result, _ = self._wire.ask("STREAM FILE", sound, keys, within=self._step_seconds)
        if result != "-1":
            return _key(result)
        # Either the caller is gone, which the next command tells, or there is no such sound: then
        # it is a sound of one millisecond.
        key = self.wait_key(0.001)
        log.warning("no sound %r", sound)
        self.missing_sounds.append(sound)
        return key if key is not None and key in keys else None

    def play_all(self, sounds: Sequence[str], keys: str = "") -> str | None:
        """Plays sounds one after another, to the end of the last or to the first of ``keys``."""
        for sound in sounds:
            key = self.play(sound, keys)
            if key is not None:
                return key
        return None

    def wait_key(self, seconds: float) -> str | None:
        """The next key, one of ``0123456789*#ABCD``, or None when none comes in time."""
        milliseconds = max(1, round(seconds * 1000))  # 0 and less would mean: for ever
        within = milliseconds / 1000 + ANSWER_SECONDS
        result, _ = self._wire.ask("WAIT FOR DIGIT", milliseconds, within=within)
        if result == "-1":
            raise CallerGone("the caller has hung up")
        return _key(result)

    def read_number(self, sounds: Sequence[str], max_digits: int, seconds: float, end: str = "#") -> str:
        """Plays sounds and reads a number; the first key interrupts the sounds. It is complete
        with ``end``, with ``max_digits``, or after ``seconds`` without a key. Empty if none came.
        Other keys than digits are passed over."""
        digits = ""
        key = self.play_all(sounds, DIGITS + end)
        if key is None:
            key = self.wait_key(seconds)
        for _ in range(max_digits + _STRAY_KEYS):
            if key is None or key == end:
                break
            if key in DIGITS:
                digits += key
            if len(digits) >= max_digits:
                break
            key = self.wait_key(seconds)
        return digits

    def get(self, variable: str) -> str | None:
        """A channel variable or function; None if it is not set. Asterisk cuts it at 1,023 bytes."""
        result, value = self._wire.ask("GET VARIABLE", _variable(variable))
        return value if result == "1" else None

    def set(self, variable: str, value: str) -> None:
        """Sets a channel variable or function. Line breaks become blanks."""
        self._wire.ask("SET VARIABLE", _variable(variable), value)

    def exec(self, application: str, *args: str, within: float | None = None) -> int:
        """Runs a dialplan application to its end and returns its result: 0 went well, -1 it failed
        or the caller hung up (the next command tells). ``within``: seconds, ``step_seconds`` by
        default. An argument with a comma, quote, backslash or control character is refused with
        ValueError: Asterisk would take it for several."""
        if not _APPLICATION.fullmatch(application):
            raise ValueError(f"{application[:40]!r} is not the name of an application")
        if any(_UNSAFE_ARGUMENT.search(arg) for arg in args):
            raise ValueError(f"{application}: an argument holds a comma, quote, backslash or break")
        limit = self._step_seconds if within is None else within
        result, _ = self._wire.ask("EXEC", application, ",".join(args), within=limit)
        if result == "-2":
            raise AgiError(f"this Asterisk has no application {application}")
        if result == "1":
            self._wire.skip_usage()  # Asterisk takes 1 for "wrong usage" and sends that text too
        return int(result)

    def fail(self, reason: str) -> None:
        """Gives the call back to the dialplan's fall-back (AGISTATUS=FAILURE). May be called from
        another thread; the conversation's next command then raises AgiError(reason)."""
        self._wire.fail(reason)

    def close(self) -> None:
        """Gives the call back to the dialplan (AGISTATUS=SUCCESS)."""
        self._wire.close()


def _key(result: str) -> str | None:
    """The key of a result that is the code of a character; 0 is none."""
    if result == "0":
        return None
    key = chr(int(result)) if result.isdecimal() and int(result) < 128 else ""
    if not key or key not in KEYS:
        raise AgiError("a result that is not a key")
    return key


def _variable(name: str) -> str:
    if not _VARIABLE.fullmatch(name):
        raise ValueError(f"{name[:40]!r} is not the name of a channel variable or function")
    return name
