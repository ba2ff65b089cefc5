"""What can happen to an alarm. The log of these is the truth; the alarm is their fold (事件回溯, Hangzhou H2)."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, JsonValue, TypeAdapter

from alarm_core.plan import Plan


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Helper(_Model):
    """A contact as the alarm knows it, frozen when the alarm opens. `number` is dialable or None."""

    id: UUID
    name: str
    relation: str
    number: str | None


class Brief(_Model):
    """All an alarm needs to know of its elder, frozen when it opens (and when a more serious signal takes the lead).

    `numbers` are the elder's phones in order; `address` and `way_in` are spoken to helpers (Beijing B12).
    """

    elder_id: UUID | None
    elder_name: str
    numbers: tuple[str, ...]
    address: str
    way_in: str
    contacts: tuple[Helper, ...]
    duty: tuple[str, ...]
    timezone: str
    plan: Plan


class CallOutcome(StrEnum):
    """What became of one call, as far as the telephone network knows. Never says that anybody agreed to anything."""

    COMPLETED = "completed"
    NO_ANSWER = "no_answer"
    BUSY = "busy"
    REJECTED = "rejected"
    INVALID = "invalid"
    FAILED = "failed"
    BLOCKED = "blocked"
    ENGAGED = "engaged"
    CANCELLED = "cancelled"
    LOST = "lost"


class SignalRef(_Model):
    """The signal behind an event."""

    device_id: str
    message_id: str
    kind: str
    at: datetime
    source: str
    value: JsonValue = None


class Opened(_Model):
    type: Literal["opened"] = "opened"
    signal: SignalRef
    brief: Brief
    note: str = ""


class SignalJoined(_Model):
    """A further signal of the same elder. `plan` is that of its kind, for the case that it takes the lead."""

    type: Literal["signal_joined"] = "signal_joined"
    signal: SignalRef
    plan: Plan


class SignalCleared(_Model):
    type: Literal["signal_cleared"] = "signal_cleared"
    signal: SignalRef


class WakeDue(_Model):
    type: Literal["wake_due"] = "wake_due"
    name: str
    key: str


class CallPlaced(_Model):
    type: Literal["call_placed"] = "call_placed"
    call_id: UUID


class CallRinging(_Model):
    type: Literal["call_ringing"] = "call_ringing"
    call_id: UUID


class CallAnswered(_Model):
    """Something picked up: a person, a machine, a pocket. It confirms nothing."""

    type: Literal["call_answered"] = "call_answered"
    call_id: UUID


class CallEnded(_Model):
    type: Literal["call_ended"] = "call_ended"
    call_id: UUID
    outcome: CallOutcome
    cause: int | None = None


class CalledIn(_Model):
    """A contact called back from the number that we had dialled."""

    type: Literal["called_in"] = "called_in"
    call_id: UUID
    who: UUID


class ElderReply(_Model):
    """What the elder's keypad said: 1 well, 2 help. `silent`: answered, and neither."""

    type: Literal["elder_reply"] = "elder_reply"
    call_id: UUID
    reply: Literal["well", "help", "silent"]


class HelperReply(_Model):
    """What a contact's keypad said. `none`: answered, pressed nothing that counts (a machine, perhaps)."""

    type: Literal["helper_reply"] = "helper_reply"
    call_id: UUID
    who: UUID
    reply: Literal["going", "cannot", "person", "none"]


class HelperMinutes(_Model):
    type: Literal["helper_minutes"] = "helper_minutes"
    call_id: UUID
    who: UUID
    minutes: int


class ArrivalReply(_Model):
    type: Literal["arrival_reply"] = "arrival_reply"
    call_id: UUID
    who: UUID
    reply: Literal["arrived", "delayed", "cannot"]


class Situation(_Model):
    """How the elder is, said by whoever stands there."""

    type: Literal["situation"] = "situation"
    call_id: UUID
    who: UUID
    reply: Literal["safe", "more_help"]


class DutyReply(_Model):
    """The duty phone's keypad: takes it, cannot; later: settled, still working, call the contacts again."""

    type: Literal["duty_reply"] = "duty_reply"
    call_id: UUID
    reply: Literal["taken", "cannot", "settled", "working", "call_again"]


class StaffEntry(_Model):
    """A person of the service did or decided something, by the console, the API or the command line."""

    type: Literal["staff_entry"] = "staff_entry"
    action: Literal["take", "arrived", "resolve", "withdraw", "close", "call_again", "note"]
    by: str
    note: str = ""


Event = (
    Opened
    | SignalJoined
    | SignalCleared
    | WakeDue
    | CallPlaced
    | CallRinging
    | CallAnswered
    | CallEnded
    | CalledIn
    | ElderReply
    | HelperReply
    | HelperMinutes
    | ArrivalReply
    | Situation
    | DutyReply
    | StaffEntry
)
EVENT: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="type")])
