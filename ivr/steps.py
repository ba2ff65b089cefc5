"""The steps a conversation is made of. A conversation knows no Asterisk: `agi` carries the steps out on a real call,
tests carry them out as a story."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from enum import StrEnum

from alarm_core.events import Event
from ivr.sounds import Part


@dataclass(frozen=True, slots=True)
class Say:
    """Say it; keys pressed meanwhile are let go by."""

    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Ask:
    """Say it and wait for one of the keys; a wrong key or none is asked again. Answer: the key, or None.

    Every key interrupts what is being said. `again` is said instead of `parts` from the second try on. `tries`: how
    often silence is asked again; wrong keys do not count.
    """

    parts: tuple[Part, ...]
    keys: str
    again: tuple[Part, ...] = ()
    tries: int = 2
    seconds: float = 5.0


@dataclass(frozen=True, slots=True)
class AskNumber:
    """Say it and read a number ended by the hash key or a pause. Answer: the number, or None."""

    parts: tuple[Part, ...]
    digits: int
    tries: int = 2
    seconds: float = 5.0


@dataclass(frozen=True, slots=True)
class Report:
    """Put the event into the record. Answer: a `Verdict`, after the commit: only then may anybody be thanked."""

    event: Event


@dataclass(frozen=True, slots=True)
class Verdict:
    """How the alarm stands after a report. `still_sent`: someone goes and looks although the elder is well."""

    open: bool
    still_sent: bool = False
    others_going: bool = False
    room: str | None = None


class Next(StrEnum):
    """Where the call goes after the conversation: the door reads it."""

    HANGUP = "hangup"
    ROOM = "room"


Step = Say | Ask | AskNumber | Report
Answer = str | int | Verdict | None
Conversation = Generator[Step, Answer, Next]
