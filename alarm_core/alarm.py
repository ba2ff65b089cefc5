"""An alarm's state: the fold of its events. Changed by the rules alone."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from alarm_core.commands import Party, Purpose
from alarm_core.events import Brief


class Phase(StrEnum):
    RECEIVED = "received"
    VERIFYING = "verifying"
    ALERTING = "alerting"
    ATTENDED = "attended"
    RESOLVED = "resolved"
    FOLLOW_UP = "follow_up"
    CLOSED = "closed"


OPEN = (Phase.RECEIVED, Phase.VERIFYING, Phase.ALERTING, Phase.ATTENDED)
"""Somebody may still be in danger: each of these must have a next step."""

Outcome = Literal["withdrawn", "helped", "handled", "cleared"]


class _State(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Leg(_State):
    """A call that is not over yet, from the decision to dial on."""

    party: Party
    purpose: Purpose
    who: UUID | None
    number: str
    state: Literal["queued", "placed", "ringing", "answered", "waiting"] = "queued"
    replied: bool = False
    since: datetime | None = None


class ElderLine(_State):
    tries: int = 0
    state: Literal["idle", "calling", "done"] = "idle"
    result: Literal["", "well", "help", "silent", "no_answer"] = ""


class ContactLine(_State):
    """`position` and `called` count within a round; `reached_network`: a call of this round got through the trunk."""

    state: Literal["idle", "calling", "resting", "stopped"] = "idle"
    round: int = 1
    position: int = 0
    called: int = 0
    failures: int = 0
    reached_network: bool = False
    refused: list[UUID] = []


class OnTheWay(_State):
    """A contact who pressed the key: goes there, or is there."""

    accepted_at: datetime
    expected_at: datetime
    arrived: bool = False
    asked: int = 0


class DutyLine(_State):
    state: Literal["idle", "calling", "taken"] = "idle"
    reason: Literal[
        "", "nobody_reached", "help_asked", "more_help", "no_report", "person_wanted", "worse", "unknown"
    ] = ""
    position: int = 0


class Alarm(_State):
    """One case of possible danger of one elder, from first signal to closure."""

    id: UUID
    kind: str
    device_id: str
    phase: Phase = Phase.RECEIVED
    outcome: Outcome | None = None
    opened_at: datetime
    seq: int = 0
    counter: int = 0
    brief: Brief
    legs: dict[UUID, Leg] = {}
    elder: ElderLine = ElderLine()
    contacts: ContactLine = ContactLine()
    helpers: dict[UUID, OnTheWay] = {}
    duty: DutyLine = DutyLine()
    wakes: dict[str, str] = {}
    last_signal_at: datetime
    danger_at: datetime | None = None
    """When `device_id` last spoke of the danger, by its own clock: an all-clear from before that ends nothing."""

    @property
    def open(self) -> bool:
        return self.phase in OPEN

    def draft(self) -> Alarm:
        """A copy whose parts may be changed; the brief is frozen and shared."""
        return self.model_copy(
            update={
                "legs": {key: leg.model_copy() for key, leg in self.legs.items()},
                "elder": self.elder.model_copy(),
                "contacts": self.contacts.model_copy(update={"refused": list(self.contacts.refused)}),
                "helpers": {key: helper.model_copy() for key, helper in self.helpers.items()},
                "duty": self.duty.model_copy(),
                "wakes": dict(self.wakes),
            }
        )
