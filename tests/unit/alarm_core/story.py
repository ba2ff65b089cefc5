"""Tests of the rules that read as stories: who is called, what they do, how it ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any, Literal
from uuid import UUID, uuid5

from alarm_core.alarm import Alarm, Outcome, Phase
from alarm_core.commands import Party, Purpose
from alarm_core.events import (
    ArrivalReply,
    Brief,
    CallAnswered,
    CalledIn,
    CallEnded,
    CallOutcome,
    CallPlaced,
    CallRinging,
    DutyReply,
    ElderReply,
    Event,
    Helper,
    HelperMinutes,
    HelperReply,
    SignalCleared,
    SignalJoined,
    Situation,
    StaffEntry,
)
from alarm_core.planbook import PlanBook
from alarm_core.rules import Decision
from tests.unit.alarm_core.world import ALARM_ID, MORNING, Call, World, contact_id, signal

BOOK = PlanBook.load()
ELDER = "02164370001"
CONTACTS = ("13800000001", "13800000002", "13800000003")
DUTY = ("8001", "8002")
Action = Literal["take", "arrived", "resolve", "withdraw", "close", "call_again", "note"]
Tell = Callable[..., "Story"]
_SOON = 5.0
"""Seconds: the short pauses between calls that a story does not need to mention."""


def brief(
    kind: str,
    *,
    elder: Sequence[str] = (ELDER,),
    contacts: Sequence[str | None] = CONTACTS,
    duty: Sequence[str] = DUTY,
    risk: str = "medium",
    own: dict[str, Any] | None = None,
) -> Brief:
    """What the alarm knows of its people; `own` are the elder's own changes to the plan."""
    return Brief(
        elder_id=uuid5(ALARM_ID, "elder"),
        elder_name="陈阿婆",
        numbers=tuple(elder),
        address="长顺里 12 号 302 室",
        way_in="钥匙在 301 室",
        contacts=tuple(
            Helper(id=contact_id(place), name=f"联系人 {place}", relation="家人", number=number)
            for place, number in enumerate(contacts, 1)
        ),
        duty=tuple(duty),
        timezone="Asia/Shanghai",
        plan=BOOK.for_alarm(kind, risk, {kind: own or {}}),
    )


class Phone:
    """A phone that our calls reach. What it does stands in the order in which it happens."""

    def __init__(self, story: Story, number: str, party: Party, who: UUID | None = None) -> None:
        self.story, self.number, self.party, self.who = story, number, party, who

    @property
    def call(self) -> Call:
        """The live call with this phone; short pauses before it pass by themselves."""
        found = self.story.find(self, within=_SOON)
        assert found is not None, f"{self.number} has no call; live: {self.story.live()}"
        return found

    @property
    def is_live(self) -> bool:
        return self.story.find(self, within=0) is not None

    def rings(self) -> None:
        call = self.call
        if not call.answered:
            self.story.happens(CallPlaced(call_id=call.id))
            self.story.happens(CallRinging(call_id=call.id))

    def answers(self) -> None:
        self.rings()
        call = self.call
        if not call.answered:
            call.answered = True
            self.story.happens(CallAnswered(call_id=call.id))

    def ends(self, outcome: CallOutcome = CallOutcome.COMPLETED) -> None:
        self.story.happens(CallEnded(call_id=self.call.id, outcome=outcome))

    def hangs_up(self) -> None:
        self.ends(CallOutcome.COMPLETED)

    def is_busy(self) -> None:
        self.story.happens(CallPlaced(call_id=self.call.id))
        self.ends(CallOutcome.BUSY)

    def does_not_answer(self) -> None:
        self.rings()
        call = self.call
        self.story.wait(seconds=call.ring_seconds)
        if call.id in self.story.world.calls:
            self.story.happens(CallEnded(call_id=call.id, outcome=CallOutcome.NO_ANSWER))

    def _hang_up_after(self, call: Call, stays: bool) -> None:
        if not stays and call.id in self.story.world.calls:
            self.story.happens(CallEnded(call_id=call.id, outcome=CallOutcome.COMPLETED))


class ElderPhone(Phone):
    def presses(self, reply: Literal["well", "help"]) -> None:
        self._says(reply)

    def is_silent(self) -> None:
        self._says("silent")

    def _says(self, reply: Literal["well", "help", "silent"]) -> None:
        self.answers()
        call = self.call
        self.story.happens(ElderReply(call_id=call.id, reply=reply))
        self._hang_up_after(call, stays=False)


class ContactPhone(Phone):
    who: UUID

    def presses(
        self, reply: Literal["going", "cannot", "person"], *, minutes: int | None = None, stays: bool = False
    ) -> None:
        """One key of the first question; who asks for a person waits, everyone else hangs up unless `stays`."""
        self.answers()
        call = self.call
        self.story.happens(HelperReply(call_id=call.id, who=self.who, reply=reply))
        if minutes is not None:
            self.story.happens(HelperMinutes(call_id=call.id, who=self.who, minutes=minutes))
        self._hang_up_after(call, stays or reply == "person")

    def is_voicemail(self) -> None:
        """Answers, presses nothing, ends."""
        self.answers()
        call = self.call
        self.story.happens(HelperReply(call_id=call.id, who=self.who, reply="none"))
        self._hang_up_after(call, stays=False)

    def calls_in(self) -> None:
        self.story.happens(CalledIn(call_id=self.story.new_call_id(), who=self.who))

    def reports(self, reply: Literal["arrived", "delayed", "cannot"], *, stays: bool = False) -> None:
        self.answers()
        call = self.call
        self.story.happens(ArrivalReply(call_id=call.id, who=self.who, reply=reply))
        self._hang_up_after(call, stays)

    def says(self, reply: Literal["safe", "more_help"]) -> None:
        self.answers()
        call = self.call
        self.story.happens(Situation(call_id=call.id, who=self.who, reply=reply))
        self._hang_up_after(call, stays=False)


class DutyPhone(Phone):
    def presses(self, reply: Literal["taken", "cannot", "settled", "working", "call_again"]) -> None:
        self.answers()
        call = self.call
        self.story.happens(DutyReply(call_id=call.id, reply=reply))
        self._hang_up_after(call, stays=False)


class Story:
    """`tell("smoke", contacts=[…])` begins one; at its end the whole history is replayed and compared."""

    def __init__(self, kind: str, *, at: datetime = MORNING, **people: Any) -> None:
        self.world = World(brief(kind, **people), at)
        numbers = self.alarm.brief.numbers
        self.elder = ElderPhone(self, numbers[0] if numbers else "", Party.ELDER)
        self._called_in = 0

    @property
    def alarm(self) -> Alarm:
        return self.world.alarm

    def contact(self, place: int) -> ContactPhone:
        helper = self.alarm.brief.contacts[place - 1]
        return ContactPhone(self, helper.number or "", Party.CONTACT, helper.id)

    def duty(self, place: int = 1) -> DutyPhone:
        return DutyPhone(self, self.alarm.brief.duty[place - 1], Party.DUTY)

    # What happens

    def happens(self, event: Event) -> Decision:
        return self.world.happens(event)

    def wait(self, *, seconds: float = 0, minutes: float = 0, hours: float = 0) -> None:
        self.world.wait(seconds + 60 * minutes + 3600 * hours)

    def nobody_answers(self, *, seconds: float = 0, minutes: float = 0, hours: float = 0) -> None:
        self.world.everyone(CallOutcome.NO_ANSWER, seconds + 60 * minutes + 3600 * hours)

    def trunk_is_down(self, *, minutes: float) -> None:
        self.world.everyone(CallOutcome.FAILED, 60 * minutes)

    def staff(self, action: Action) -> None:
        self.happens(StaffEntry(action=action, by="operator"))

    def signal_joins(self, kind: str) -> None:
        ref = signal(kind, self.world.now, str(len(self.world.log)))
        self.happens(SignalJoined(signal=ref, plan=BOOK.for_alarm(kind)))

    def device_clears(self, kind: str) -> None:
        self.happens(SignalCleared(signal=signal(kind, self.world.now, str(len(self.world.log)))))

    def elder_does_not_answer(self) -> None:
        """All the calls to the elder that the plan wants stay without an answer."""
        while self.alarm.elder.state == "calling":
            call = next((c for c in self.world.calls.values() if c.party is Party.ELDER), None)
            if call is None:
                self.wait(seconds=1)
            else:
                ElderPhone(self, call.number, Party.ELDER).does_not_answer()

    # What is expected

    def expects_call_to(self, phone: Phone, purpose: Purpose | None = None, *, within: float = _SOON) -> Call:
        """A call of ours to this phone is live, or comes within so many seconds."""
        call = self.find(phone, within=within)
        assert call is not None, f"no call to {phone.number}; live: {self.live()}"
        assert purpose in (None, call.purpose)
        return call

    def expects_no_call_to(self, *phones: Phone) -> None:
        for phone in phones:
            assert self.find(phone, within=0) is None, f"{phone.number} should have no call; live: {self.live()}"

    def expects_silence(self, *, minutes: float = 0, hours: float = 0) -> None:
        """Nothing rings now, and nothing is dialled in all this time."""
        ringing = [call for call in self.world.calls.values() if not call.answered and not call.hung_up]
        assert not ringing, f"rings: {self.live()}"
        before = len(self.world.placed)
        self.wait(minutes=minutes, hours=hours)
        assert self.world.placed[before:] == [], "somebody was called"

    def expects(self, phase: Phase, outcome: Outcome | None = None) -> None:
        assert (self.alarm.phase, self.alarm.outcome) == (phase, outcome)

    def find(self, phone: Phone, *, within: float) -> Call | None:
        left = within
        while True:
            for call in self.world.calls.values():
                same_person = phone.who in (None, call.who)
                if call.number == phone.number and call.party is phone.party and same_person and not call.hung_up:
                    return call
            wake = self.world.next_wake()
            left -= (wake.due_at - self.world.now).total_seconds() if wake else left + 1
            if wake is None or left < 0:
                return None
            self.world.fire(wake)

    def live(self) -> list[str]:
        return [f"{call.number} {call.purpose}" for call in self.world.calls.values()]

    def calls_to(self, phone: Phone) -> list[Call]:
        """All calls that this phone got, oldest first."""
        return [call for call in self.world.placed if (call.number, call.party) == (phone.number, phone.party)]

    def new_call_id(self) -> UUID:
        self._called_in += 1
        return uuid5(ALARM_ID, f"called in {self._called_in}")


def gaps(calls: Sequence[Call]) -> list[float]:
    """Seconds between the beginnings of calls that follow each other."""
    return [(b.since - a.since).total_seconds() for a, b in pairwise(calls)]


__all__ = ["BOOK", "CONTACTS", "DUTY", "ELDER", "Action", "Story", "Tell", "brief", "gaps"]
