"""One application of the rules: the draft of the alarm, and what is to be done about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

from alarm_core.alarm import Alarm, Leg
from alarm_core.commands import Command, HangUp, Party, PlaceCall, Purpose, Redirect, Wake
from alarm_core.plan import Plan

WISHED = ("help_asked", "more_help", "person_wanted", "worse")
"""Reasons for the duty phone that a person gave, or that a worse signal gave: they wait for no pause and no morning."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What the rules return: the alarm as it is now, new commands, and the keys of wakes that no longer matter.

    `applied` is False for an event that means nothing any more (a wake that was replaced); it is not recorded.
    """

    alarm: Alarm
    commands: tuple[Command, ...] = ()
    cancelled: tuple[str, ...] = ()
    applied: bool = True


@dataclass(slots=True)
class Turn:
    """The draft that the lines work on. Ids are made from the alarm's own counter: replay makes the same ones."""

    alarm: Alarm
    now: datetime
    commands: list[Command] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)

    @property
    def plan(self) -> Plan:
        return self.alarm.brief.plan

    def call(
        self,
        party: Party,
        purpose: Purpose,
        number: str,
        *,
        who: UUID | None = None,
        ring_seconds: float,
        if_engaged: Literal["wait", "skip"] = "wait",
    ) -> None:
        self.alarm.counter += 1
        call_id = uuid5(self.alarm.id, f"call:{self.alarm.counter}")
        self.alarm.legs[call_id] = Leg(party=party, purpose=purpose, who=who, number=number)
        self.commands.append(
            PlaceCall(
                call_id=call_id,
                party=party,
                purpose=purpose,
                who=who,
                number=number,
                ring_seconds=ring_seconds,
                head_start_seconds=self.plan.head_start_seconds,
                if_engaged=if_engaged,
            )
        )

    def hang_up(self, call_id: UUID) -> None:
        self.commands.append(HangUp(key=self._key("hang_up"), call_id=call_id))

    def redirect(self, call_id: UUID) -> None:
        self.commands.append(Redirect(key=self._key("redirect"), call_id=call_id))

    def wake(self, name: str, after_seconds: float) -> None:
        """Come back to `name` after so many seconds; replaces an earlier wake of this name."""
        self.unwake(name)
        key = self._key(name)
        self.alarm.wakes[name] = key
        self.commands.append(Wake(key=key, name=name, due_at=self.now + timedelta(seconds=after_seconds)))

    def postponed(self, name: str) -> bool:
        """Outside the plan's hours nobody is called about what is no emergency: comes back to `name` in the morning.

        Never so when somebody asked for help, or waits for a person.
        """
        hours, alarm = self.plan.hours, self.alarm
        asked = alarm.elder.result == "help" or alarm.duty.reason in WISHED
        if hours is None or asked or any(leg.state == "waiting" for leg in alarm.legs.values()):
            return False
        local = self.now.astimezone(ZoneInfo(self.alarm.brief.timezone))
        if hours.start <= local.time() < hours.end:
            return False
        day = local.date() if local.time() < hours.start else local.date() + timedelta(days=1)
        morning = datetime.combine(day, hours.start, local.tzinfo)
        self.wake(name, (morning - self.now).total_seconds())
        return True

    def unwake(self, *names: str) -> None:
        for name in names:
            key = self.alarm.wakes.pop(name, None)
            if key is not None:
                self.cancelled.append(key)

    def rings_already(self, number: str) -> bool:
        """Whether this alarm has a call with the number under way: one phone is never dialled twice at one moment."""
        sharing = {contact.id for contact in self.alarm.brief.contacts if contact.number == number}
        return any(
            leg.number == number or (not leg.number and leg.who in sharing)  # a second call in from one phone
            for leg in self.alarm.legs.values()
        )

    def legs(self, *purposes: Purpose) -> dict[UUID, Leg]:
        return {key: leg for key, leg in self.alarm.legs.items() if leg.purpose in purposes}

    def stop_ringing(self, *purposes: Purpose) -> None:
        """Take back the calls that nobody has answered yet; a person who is listening is not cut off."""
        for call_id, leg in self.legs(*purposes).items():
            if leg.state in ("queued", "placed", "ringing"):
                self.hang_up(call_id)

    def _key(self, what: str) -> str:
        self.alarm.counter += 1
        return f"{self.alarm.id}:{what}:{self.alarm.counter}"
