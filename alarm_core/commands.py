"""What an alarm wants done. Rows of the one table of commands: outbox and timer at once."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter


class Party(StrEnum):
    """Whose phone it is."""

    ELDER = "elder"
    CONTACT = "contact"
    DUTY = "duty"


class Purpose(StrEnum):
    """What a call is for: chooses the conversation."""

    VERIFY = "verify"
    CONFIRM = "confirm"
    ARRIVAL = "arrival"
    SITUATION = "situation"
    WITHDRAWN = "withdrawn"
    DUTY = "duty"
    DUTY_CHECK = "duty_check"


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PlaceCall(_Model):
    """Dial a number. The command's key, the call's row and Asterisk's ChannelId are all `call_id`.

    `if_engaged`: what to do while another call of ours is on the same phone: wait for its end, or give the next
    contact the turn (the call then ends as `engaged`).
    """

    type: Literal["place_call"] = "place_call"
    call_id: UUID
    party: Party
    purpose: Purpose
    who: UUID | None
    number: str
    ring_seconds: float
    head_start_seconds: float
    if_engaged: Literal["wait", "skip"]

    @property
    def key(self) -> str:
        return str(self.call_id)


class HangUp(_Model):
    type: Literal["hang_up"] = "hang_up"
    key: str
    call_id: UUID


class Redirect(_Model):
    """Take a waiting leg out of its room, back into its conversation."""

    type: Literal["redirect"] = "redirect"
    key: str
    call_id: UUID


class Wake(_Model):
    type: Literal["wake"] = "wake"
    key: str
    name: str
    due_at: datetime


Command = PlaceCall | HangUp | Redirect | Wake
COMMAND: TypeAdapter[Command] = TypeAdapter(Annotated[Command, Field(discriminator="type")])
