"""Reads what the phones of the test network noted: the truth from the phone's side."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path


@dataclass(frozen=True)
class PhoneEvent:
    """One line of phones.log. `at` is Unix time in seconds, to the millisecond.

    `event`: call, dial, ring, answer, press, say, beep, tone, refuse, hangup, unknown_step,
    end. `detail`: the keys, the sound, the SIP code, the hangup cause at the end.
    `other`: the caller's number as the phone saw it (or, for a call in, the number dialled).
    """

    at: float
    call: str
    number: str
    event: str
    detail: str
    other: str


@dataclass(frozen=True)
class PhoneCall:
    """One call as one phone lived it. Times are Unix seconds; None: has not happened."""

    number: str
    call: str
    other: str
    began_at: float
    answered_at: float | None
    ended_at: float | None
    keys: str
    cause: int | None
    events: tuple[str, ...]


class PhoneLog:
    """The log file of one network; reads it anew at each question."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def events(self, number: str | None = None) -> list[PhoneEvent]:
        """Events in order of writing; of one phone when `number` is given.

        A last line that is still being written is left out.
        """
        if not self.path.exists():
            return []
        complete, _, _ = self.path.read_text(encoding="ascii").rpartition("\n")
        found = []
        for line in complete.splitlines():
            fields = json.loads(line)
            fields["at"] = float(fields["at"])
            event = PhoneEvent(**fields)
            if number is None or event.number == number:
                found.append(event)
        return found

    def calls(self, number: str | None = None) -> list[PhoneCall]:
        """Calls in order of their beginning."""
        grouped: dict[tuple[str, str], list[PhoneEvent]] = {}
        for event in self.events(number):
            grouped.setdefault((event.number, event.call), []).append(event)
        return sorted((_call(events) for events in grouped.values()), key=lambda c: c.began_at)

    def ringing_twice(self) -> list[tuple[PhoneCall, PhoneCall]]:
        """Pairs of calls that were at one phone at the same moment. Must be empty.

        A call without an end counts as lasting for ever. Calls that a phone made itself count too.
        """
        return overlaps(self.calls())


def overlaps(calls: Iterable[PhoneCall]) -> list[tuple[PhoneCall, PhoneCall]]:
    """Pairs of neighbouring calls of one phone, of which the second began before the first ended."""
    by_number: dict[str, list[PhoneCall]] = {}
    for call in sorted(calls, key=lambda c: c.began_at):
        by_number.setdefault(call.number, []).append(call)
    found = []
    for row in by_number.values():
        longest = row[0]
        for _, later in pairwise(row):
            if longest.ended_at is None or later.began_at < longest.ended_at:
                found.append((longest, later))
            if longest.ended_at is not None and (later.ended_at is None or later.ended_at > longest.ended_at):
                longest = later
    return found


def _call(events: list[PhoneEvent]) -> PhoneCall:
    def first(name: str) -> PhoneEvent | None:
        return next((e for e in events if e.event == name), None)

    answer, end = first("answer"), first("end")
    return PhoneCall(
        number=events[0].number,
        call=events[0].call,
        other=events[0].other,
        began_at=events[0].at,
        answered_at=answer.at if answer else None,
        ended_at=end.at if end else None,
        keys="".join(e.detail for e in events if e.event == "press"),
        cause=int(end.detail) if end and end.detail.isdigit() else None,
        events=tuple(e.event for e in events),
    )
