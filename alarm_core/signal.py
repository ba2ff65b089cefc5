"""What devices tell us, after an adapter has understood it: the meeting place of `ingest` and the store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from pydantic import JsonValue

SWEEP = "sweep"
"""Source of signals that we make ourselves for a silent device: they are no sign of life, and their time is ours."""


class SignalState(StrEnum):
    """What a signal says about its device's condition."""

    ALARM = "alarm"
    CLEAR = "clear"
    HEARTBEAT = "heartbeat"
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class Signal:
    """One message of a device. `(device_id, message_id)` names it for ever: the same pair is the same signal.

    `at` is the device's own time (aware); `battery` is 0..1; `source` is the way it came ("mqtt", "http",
    "http:nbiot", "phone", "sweep").
    """

    device_id: str
    message_id: str
    kind: str
    state: SignalState
    at: datetime
    source: str
    value: JsonValue = None
    battery: float | None = None


@dataclass(frozen=True, slots=True)
class Rejected:
    """A message that could not be taken as a signal, kept whole with the reason.

    `reason` is a short code ("not_json", "too_large", "bad_field", "unknown_adapter", "store_error" …); `detail` says
    what is wrong and where, for a person. `dangerous`: it may mean danger, so a person must hear of it.
    """

    source: str
    topic: str
    payload: bytes
    reason: str
    detail: str
    device_id: str | None
    dangerous: bool


Incoming = Signal | Rejected


class Taken(StrEnum):
    """What became of one incoming message."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    QUARANTINED = "quarantined"


@dataclass(frozen=True, slots=True)
class Receipt:
    """The answer to one incoming message, after the commit. `alarm_id`: the alarm it opened, joined or belongs to.

    `reason` is set when it was quarantined (also for signals the store refused: "unknown_device", "clock_off").
    """

    taken: Taken
    alarm_id: UUID | None = None
    reason: str | None = None


class Intake(Protocol):
    """Takes messages into the record."""

    async def take(self, batch: Sequence[Incoming]) -> list[Receipt]:
        """Store the batch in one transaction and return one receipt per item, in order, after the commit.

        Raises on database trouble; then nothing of the batch was stored. A `sqlalchemy.exc.OperationalError` or
        `InterfaceError` means the database is away (try again later); any other error means an item is poison.
        """
        ...
