"""Elders, contacts and devices as they are entered and shown (the elder's file: Beijing B12).

Everything that comes from outside passes these models, whichever way it comes (HTTP, CSV, command line). Names and
addresses may hold quotes and any script; they may not hold what breaks a line or turns its direction.
"""

from __future__ import annotations

import unicodedata
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, field_validator

from alarm_core.numbers import dialable
from alarm_core.planbook import PlanBook, PlanError

MAX_PHONES = 5
MAX_CONTACTS = 20

# Characters that reverse the direction of the text after them: a name must not be able to disguise another.
_TURNING = {chr(code) for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))}
_ADDRESS = ("district", "street", "compound", "building", "entrance", "floor", "room")


def _line(text: str) -> str:
    """One line of text, without blanks at its ends."""
    text = text.strip()
    if any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") or c in _TURNING for c in text):
        raise ValueError("holds a line break or another control character: remove it")
    return text


def _lines(text: str) -> str:
    text = text.replace("\r\n", "\n").strip()
    for line in text.split("\n"):
        _line(line)
    return text


def _number(text: str) -> str:
    return dialable(text)


def _device_id(text: str) -> str:
    text = _line(text)
    if not text.isprintable() or any(c in text for c in "/+#") or text in (".", ".."):
        # The id is a level of an MQTT topic and a part of a web address.
        raise ValueError("has printable characters only, and none of / + #")
    return text


Name = Annotated[str, AfterValidator(_line), Field(min_length=1, max_length=64)]
Short = Annotated[str, AfterValidator(_line), Field(max_length=64)]
Long = Annotated[str, AfterValidator(_line), Field(max_length=200)]
Note = Annotated[str, AfterValidator(_lines), Field(max_length=2000)]
Number = Annotated[str, Field(max_length=40), AfterValidator(_number)]
DeviceId = Annotated[str, AfterValidator(_device_id), Field(min_length=1, max_length=128)]
Kind = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
Risk = Literal["high", "medium", "low"]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ElderFields(_Model):
    """What is entered about an elder. `reference`: the elder's number in the district's own register, unique.

    `phones`: in the order in which they are called. `way_in`: spoken to helpers (door code, where the key is).
    `plan`: the elder's own changes of plans (X6): kind, or "*" for every kind → fields of the plan that differ.
    """

    reference: Name
    name: Name
    risk: Risk = "medium"
    phones: Annotated[list[Number], Field(max_length=MAX_PHONES)] = []
    district: Short = ""
    street: Short = ""
    compound: Short = ""
    building: Short = ""
    entrance: Short = ""
    floor: Short = ""
    room: Short = ""
    landmark: Long = ""
    way_in: Long = ""
    note: Note = ""
    plan: dict[str, dict[str, JsonValue]] = {}

    @field_validator("phones")
    @classmethod
    def _each_once(cls, numbers: list[str]) -> list[str]:
        if len(numbers) != len(set(numbers)):
            raise ValueError("a number stands twice: name each once")
        return numbers

    @field_validator("plan")
    @classmethod
    def _plain(cls, plan: dict[str, dict[str, JsonValue]]) -> dict[str, dict[str, JsonValue]]:
        _check_values(plan)
        return plan


class Elder(ElderFields):
    """An elder as stored. `address`: the parts in one line, as helpers hear it."""

    id: UUID
    address: str
    created_at: datetime
    updated_at: datetime


class ContactFields(_Model):
    """Who is called for an elder. `relation`: daughter, neighbour, 居委会 … `number`: null while nobody knows it."""

    name: Name
    relation: Short = ""
    number: Number | None = None


class Contact(ContactFields):
    """A contact as stored; `position` counts from 1, in the order in which they are called."""

    id: UUID
    elder_id: UUID
    position: int


class DeviceFields(_Model):
    """What is entered about a device. `kind`: what its alarms mean when they do not say (smoke, gas, one_key …).

    `heartbeat_seconds`: silence for longer raises an alarm of its own; null: not watched.
    """

    kind: Kind
    place: Short = ""
    heartbeat_seconds: Annotated[int, Field(ge=60, le=30 * 86400)] | None = None


class NewDevice(DeviceFields):
    id: DeviceId
    elder_id: UUID


class Device(DeviceFields):
    """A device as stored. `battery`: 0..1. `own_secret`: signs its HTTP pushes with a secret of its own."""

    id: str
    elder_id: UUID
    own_secret: bool
    state: str
    battery: float | None
    silent: bool
    last_seen_at: datetime | None
    created_at: datetime


def address_of(parts: dict[str, Any]) -> str:
    """The address in one line, the way an alarm freezes it (store/intake.py)."""
    landmark = f"，{parts['landmark']}" if parts["landmark"] else ""
    return "".join(parts[name] for name in _ADDRESS) + landmark


def check_plan(plans: PlanBook, fields: ElderFields) -> None:
    """Build every plan that the elder's own changes touch. Raises PlanError naming kind and field."""
    unknown = sorted(set(fields.plan) - set(plans.kinds) - {"*"})
    if unknown:
        raise PlanError(f"there is no plan of kind '{unknown[0]}': write '*' or one of {', '.join(plans.kinds)}")
    for kind in plans.kinds if "*" in fields.plan else fields.plan:
        plans.for_alarm(kind, fields.risk, fields.plan)


def _check_values(value: JsonValue | dict[str, dict[str, JsonValue]], depth: int = 0) -> None:
    """Refuse what cannot be stored as JSON, and times that no clock can be set to (a plan bounds only some of its)."""
    if depth > 6:
        raise ValueError("is nested too deeply: it has a kind, a part and a field")
    if isinstance(value, dict):
        for key, item in value.items():
            _line(key)
            _check_values(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _check_values(item, depth + 1)
    elif isinstance(value, str):
        _line(value)
    elif isinstance(value, float | int) and not abs(value) <= 7 * 86400:
        raise ValueError("a number is larger than seven days have seconds")
