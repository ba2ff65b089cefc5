"""What is shown of alarms, calls and quarantined messages: the documents of the API and of `--json`.

No phone number stands in them whole. `docs/api.md` is the contract.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, JsonValue, PlainSerializer, WithJsonSchema

from alarm_core.alarm import Outcome, Phase
from alarm_core.commands import Purpose
from alarm_core.events import CallOutcome
from alarm_core.numbers import masked

Moment = Annotated[
    datetime,
    PlainSerializer(lambda at: at.astimezone(UTC).isoformat(), return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
"""An aware time; ISO 8601 with offset (+00:00) in JSON."""

_NUMBER_FIELDS = ("number", "numbers", "duty")
_DIGITS = re.compile(r"\d{7,}")


class ElderShort(BaseModel):
    """The elder as the alarm knew them when it opened. `id` is null for a device that nobody registered."""

    id: UUID | None
    name: str
    address: str
    way_in: str


class EventDocument(BaseModel):
    """One line of the log. `source`: where it was seen ("mqtt", "ami", "conversation", "clock", "staff:NAME" …)."""

    seq: int
    at: Moment
    type: str
    source: str
    data: dict[str, JsonValue]


class CallDocument(BaseModel):
    """One call. `outcome`: what the person said (well, help, silent, going, cannot, person, arrived, safe …), "no_key"
    if they said nothing that counts; without a person what the network said (no_answer, busy, rejected …); null while
    it lasts. `network`: what the network said. `hangup_cause`: ITU-T Q.850. `name`: of the contact.
    """

    id: UUID
    alarm_id: UUID
    direction: Literal["in", "out"]
    party: str
    purpose: str
    who: UUID | None
    name: str | None
    number_masked: str | None
    placed_at: Moment
    ringing_at: Moment | None
    answered_at: Moment | None
    ended_at: Moment | None
    hangup_cause: int | None
    keys: str
    outcome: str | None
    network: str | None
    node: str
    trunk: str


class AlarmDocument(BaseModel):
    """An alarm with its log and its calls, both in the order in which they happened."""

    id: UUID
    elder: ElderShort
    kind: str
    label: dict[str, str]
    severity: int
    phase: Phase
    device_id: str
    opened_at: Moment
    ended_at: Moment | None
    outcome: Outcome | None
    events: list[EventDocument]
    calls: list[CallDocument]


class RejectedDocument(BaseModel):
    """A message in quarantine. `size` in bytes; `preview`: how its first characters read."""

    id: int
    received_at: Moment
    source: str
    topic: str
    reason: str
    detail: str
    device_id: str | None
    dangerous: bool
    alarm_id: UUID | None
    size: int
    preview: str


class RejectedMessage(RejectedDocument):
    """With the whole payload, as base64."""

    payload_base64: str


def shown(data: Any, name: str = "") -> Any:
    """The same JSON with phone numbers masked: in fields that hold them, and where a person wrote one into a note.

    A plan's part named "duty" is no number: only texts are masked.
    """
    if isinstance(data, dict):
        return {key: shown(value, key) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [shown(value, name) for value in data]
    if isinstance(data, str) and name in _NUMBER_FIELDS:
        return masked(data)
    if isinstance(data, str) and name == "note":
        return _DIGITS.sub(lambda digits: masked(digits[0]) or "", data)
    return data


def call_outcome(reply: str | None, network: str | None, purpose: str) -> str | None:
    """What became of a call, in one word: the person's reply counts before the network's.

    Answered and over without a key is `no_key`, whether it was heard out or not, except where nothing was asked.
    """
    asked = purpose != Purpose.WITHDRAWN
    if reply == "none" or (reply is None and network == CallOutcome.COMPLETED and asked):
        return "no_key"
    return reply or network


def readable(payload: bytes) -> str:
    """The payload as text that a terminal can show."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in payload.decode(errors="replace"))
