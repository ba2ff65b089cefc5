"""Plans: how an alarm of one kind is handled. All delays and counts of the rules stand here, none in the rules.

A plan is made of the kind's file, the part of it for the elder's risk level, and the elder's own changes (一人一策,
Xuhui X6), merged in this order and checked as a whole. It is frozen into the alarm when the alarm opens.
"""

from __future__ import annotations

from datetime import time
from typing import Annotated, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

Seconds = Annotated[float, Field(ge=0, le=7 * 86400)]
Delay = Annotated[float, Field(gt=0, le=7 * 86400)]
Count = Annotated[int, Field(ge=0, le=20)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Label(_Part):
    """What the kind is called on screen."""

    zh: str
    en: str


class VerifyPlan(_Part):
    """The elder is called first (Xuhui X2)."""

    calls: Count = 1
    ring_seconds: Seconds = 25
    pause_seconds: Seconds = 5
    contacts_at_once: bool = False
    """Contacts are called together with the elder, not after."""
    still_send: bool = False
    """An elder who says that all is well does not end the alarm: someone still goes and looks (fire, gas)."""


class ContactsPlan(_Part):
    """The contacts in order, in rounds."""

    rounds: Annotated[int, Field(ge=1, le=20)] = 2
    ring_seconds: Annotated[float, Field(gt=0, le=120)] = 30
    pause_seconds: Seconds = 1
    parallel: Annotated[int, Field(ge=1, le=5)] = 1
    calls_in_a_row: Annotated[int, Field(ge=1, le=3)] = 1
    """2 passes do-not-disturb: the same phone twice within three minutes."""
    patience_seconds: Delay = 25
    """Picked up, and no key for so long: perhaps a machine. The next contact is called beside it."""
    again_after_seconds: Delay = 300
    """Everyone tried: a new set of rounds begins after this, while the duty phone rings."""


class HelpPlan(_Part):
    """Somebody accepted: when we expect and ask for the arrival."""

    default_minutes: Annotated[int, Field(ge=1, le=240)] = 20
    max_minutes: Annotated[int, Field(ge=1, le=240)] = 90
    minute_seconds: Annotated[float, Field(gt=0, le=600)] = 60
    grace_seconds: Seconds = 180
    arrival_calls: Annotated[int, Field(ge=1, le=10)] = 2
    ring_seconds: Annotated[float, Field(gt=0, le=120)] = 30
    pause_seconds: Seconds = 20
    report_seconds: Delay = 600
    """Arrived, but nothing said of how the elder is: asked after this."""


class DutyPlan(_Part):
    """The seat line; until seats exist, the duty phones, again and again."""

    ring_seconds: Annotated[float, Field(gt=0, le=120)] = 40
    pause_seconds: Annotated[float, Field(ge=0.1, le=86400)] = 15
    check_seconds: Delay = 900
    when_help: bool = True
    """An elder who asks for help reaches the seat line at once, beside the contacts (Xuhui X3)."""
    first: bool = False
    """The seat line comes at once: nobody else is known (unknown device, unreadable message)."""


class Hours(_Part):
    """Local time of day within which people may be called for something that is no emergency."""

    start: time
    end: time

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.start >= self.end:
            raise ValueError("'start' must be before 'end' on the same day")
        return self


class Plan(_Part):
    """How one alarm is handled, frozen into it."""

    kind: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
    label: Label
    severity: Annotated[int, Field(ge=0, le=100)]
    """The more serious kind takes the lead of an alarm that several signals joined."""
    head_start_seconds: Seconds
    """How much later an urgent call may come and still go before one of no urgency, when lines are scarce."""
    verify: VerifyPlan = VerifyPlan()
    contacts: ContactsPlan = ContactsPlan()
    help: HelpPlan = HelpPlan()
    duty: DutyPlan = DutyPlan()
    hours: Hours | None = None
    clear_ends: bool = False
    """The device's own all-clear ends the alarm (a door closed again); never for fire, gas or a fall."""
    settle_seconds: Seconds = 0
    """After the elder withdrew it, repeats of the same device and kind within this are recorded, not raised again."""
    talk_seconds: Delay = 900
    """No call lasts longer: a bound on what is believed of a call whose end was never heard."""
    follow_up_seconds: Annotated[float, Field(gt=0, le=2 * 86400)] = 86400
    """A follow-up is due this long after the end (Beijing B3: within two days)."""

    def paced(self, factor: float) -> Plan:
        """The same plan with every delay and ring time multiplied (demo and tests: the rules stay the same)."""
        if factor == 1:
            return self
        return _scaled(self, factor)


_NEVER_SCALED = {"talk_seconds", "patience_seconds", "follow_up_seconds", "head_start_seconds"}
_Any = TypeVar("_Any", bound=_Part)


def _scaled(part: _Any, factor: float) -> _Any:
    changes: dict[str, object] = {}
    for name in type(part).model_fields:
        value = getattr(part, name)
        if isinstance(value, _Part):
            changes[name] = _scaled(value, factor)
        elif name.endswith("_seconds") and name not in _NEVER_SCALED:
            changes[name] = value * factor
    return part.model_copy(update=changes)
