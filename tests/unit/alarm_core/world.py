"""The world around one alarm's pure rules: a clock, wakes, phones. Everything that must always hold is checked here,
after every single event, whoever drives the world (the stories, the random histories)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid5

from alarm_core.alarm import Alarm, Phase
from alarm_core.commands import HangUp, Party, PlaceCall, Purpose, Redirect, Wake
from alarm_core.events import (
    ArrivalReply,
    Brief,
    CalledIn,
    CallEnded,
    CallOutcome,
    DutyReply,
    ElderReply,
    Event,
    HelperReply,
    Opened,
    SignalCleared,
    SignalRef,
    Situation,
    StaffEntry,
    WakeDue,
)
from alarm_core.invariants import broken
from alarm_core.rules import Decision, open_alarm, rules

ALARM_ID = UUID("00000000-0000-4000-8000-000000000001")
MORNING = datetime(2026, 11, 22, 2, 0, tzinfo=UTC)
"""Ten in the morning in Shanghai."""

_MAY_BRING_HELP = (HelperReply, ArrivalReply)
_MAY_END_IT = (ElderReply, Situation, DutyReply, StaffEntry, SignalCleared)


@dataclass(slots=True)
class Call:
    """One live call, as the telephone network sees it."""

    id: UUID
    party: Party
    purpose: Purpose | None
    who: UUID | None
    number: str
    ring_seconds: float
    since: datetime
    answered: bool = False
    hung_up: bool = False
    """The rules took it back; the network has not said yet that it is over."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the event log, with what the rules made of it."""

    at: datetime
    event: Event
    decision: Decision


def signal(kind: str, at: datetime, message: str = "1") -> SignalRef:
    return SignalRef(device_id="device-1", message_id=message, kind=kind, at=at, source="test")


@dataclass
class World:
    """Applies events and keeps the books. `obedient`: a hang-up ends its call at once."""

    brief: Brief
    now: datetime = MORNING
    obedient: bool = True
    log: list[Entry] = field(default_factory=list)
    wakes: dict[str, Wake] = field(default_factory=dict)
    calls: dict[UUID, Call] = field(default_factory=dict)
    placed: list[Call] = field(default_factory=list)
    redirected: list[UUID] = field(default_factory=list)
    hung_up: list[UUID] = field(default_factory=list)
    alarm: Alarm = field(init=False)

    def __post_init__(self) -> None:
        opened = Opened(signal=signal(self.brief.plan.kind, self.now), brief=self.brief)
        decision = open_alarm(ALARM_ID, opened, self.now)
        self.alarm = decision.alarm
        self._carry_out(opened, decision, before=None)

    # Events

    def happens(self, event: Event) -> Decision:
        before = self.alarm
        as_it_was = before.model_dump(exclude={"brief"})  # which is frozen
        decision = rules(before, event, self.now)
        assert before.model_dump(exclude={"brief"}) == as_it_was, (
            f"the rules changed the alarm that they were given ({event.type})"
        )
        if not decision.applied:
            assert decision.alarm is before
            assert not decision.commands
            return decision
        self.alarm = decision.alarm
        if isinstance(event, CallEnded):
            self.calls.pop(event.call_id, None)
        if isinstance(event, CalledIn):
            number = next((c.number for c in self.brief.contacts if c.id == event.who), None) or ""
            self.calls[event.call_id] = Call(
                event.call_id, Party.CONTACT, None, event.who, number, 0, self.now, answered=True
            )
        if isinstance(event, WakeDue):
            self.wakes.pop(event.key, None)
            if event.name == "watchdog":  # no call lasts longer than the plan's `talk_seconds`: the network ended it
                self.calls = {key: call for key, call in self.calls.items() if key in self.alarm.legs or call.hung_up}
        self._carry_out(event, decision, before)
        if self.obedient:
            for call in [call for call in self.calls.values() if call.hung_up]:
                if call.id in self.calls:
                    self.happens(CallEnded(call_id=call.id, outcome=CallOutcome.CANCELLED))
        return decision

    def _carry_out(self, event: Event, decision: Decision, before: Alarm | None) -> None:
        self.log.append(Entry(self.now, event, decision))
        for key in decision.cancelled:
            self.wakes.pop(key, None)
        for command in decision.commands:
            match command:
                case PlaceCall():
                    self._dial(command, before)
                case HangUp():
                    self.hung_up.append(command.call_id)
                    if command.call_id in self.calls:
                        self.calls[command.call_id].hung_up = True
                case Redirect():
                    self.redirected.append(command.call_id)
                case Wake():
                    assert command.key not in self.wakes
                    assert command.due_at >= self.now, "a wake in the past"
                    self.wakes[command.key] = command
        self._check(event, decision, before)

    def _dial(self, command: PlaceCall, before: Alarm | None) -> None:
        assert command.call_id not in {call.id for call in self.placed}, "one call id twice"
        assert command.number, "a call to no number"
        live = [call.number for call in self.calls.values() if not call.hung_up]
        assert command.number not in live, f"{command.number} is dialled while a call with it is live"
        call = Call(
            command.call_id,
            command.party,
            command.purpose,
            command.who,
            command.number,
            command.ring_seconds,
            self.now,
        )
        self.calls[call.id] = call
        self.placed.append(call)

    def _check(self, event: Event, decision: Decision, before: Alarm | None) -> None:
        alarm = self.alarm
        assert broken(alarm) == [], f"after {event.type}"
        assert alarm.seq == len(self.log)
        assert {wake.key for wake in self.wakes.values()} == set(alarm.wakes.values()), "timers and alarm disagree"
        if before is None:
            return
        if set(alarm.helpers) - set(before.helpers):
            assert isinstance(event, _MAY_BRING_HELP), f"{event.type} made somebody a helper"
            assert event.reply in ("going", "arrived")
        if before.open and not alarm.open:
            assert isinstance(event, _MAY_END_IT), f"{event.type} ended the alarm"
        if not before.open:
            assert not alarm.open, "an ended alarm came back by itself"
            told = all(c.purpose is Purpose.WITHDRAWN for c in decision.commands if isinstance(c, PlaceCall))
            assert told, "the alarm is over and somebody is called for help"
        if before.phase is Phase.CLOSED:
            assert not decision.commands, "the alarm is closed and something still happens"

    # Time

    def next_wake(self) -> Wake | None:
        return min(self.wakes.values(), key=lambda wake: wake.due_at, default=None)

    def fire(self, wake: Wake) -> None:
        self.now = max(self.now, wake.due_at)
        self.happens(WakeDue(name=wake.name, key=wake.key))

    def wait(self, seconds: float) -> None:
        """Time passes; wakes come when they are due."""
        end = self.now + timedelta(seconds=seconds)
        while (wake := self.next_wake()) is not None and wake.due_at <= end:
            self.fire(wake)
        self.now = end

    def everyone(self, outcome: CallOutcome, seconds: float) -> None:
        """For so long every phone does the same: NO_ANSWER after its ring time, anything else at once."""
        end = self.now + timedelta(seconds=seconds)
        while True:
            call = min(self.calls.values(), key=lambda call: _over(call, outcome), default=None)
            wake = self.next_wake()
            call_due = max(_over(call, outcome), self.now) if call else end + timedelta(1)
            wake_due = wake.due_at if wake else end + timedelta(1)
            if min(call_due, wake_due) > end:
                break
            if call is not None and call_due <= wake_due:
                self.now = call_due
                ended = CallOutcome.COMPLETED if call.answered else outcome
                self.happens(CallEnded(call_id=call.id, outcome=ended))
            elif wake is not None:
                self.fire(wake)
        self.now = end

    # The log

    def replayed(self) -> None:
        """The same events at the same times give the same states and the same commands."""
        first, *rest = self.log
        assert isinstance(first.event, Opened)
        decision = open_alarm(ALARM_ID, first.event, first.at)
        assert decision == first.decision
        for entry in rest:
            decision = rules(decision.alarm, entry.event, entry.at)
            assert decision == entry.decision, f"replay differs at {entry.event.type}"
        assert decision.alarm.model_dump() == self.alarm.model_dump()


def _over(call: Call, outcome: CallOutcome) -> datetime:
    rings = 0.2 if call.answered or outcome is not CallOutcome.NO_ANSWER else call.ring_seconds
    return call.since + timedelta(seconds=rings)


def contact_id(place: int) -> UUID:
    """The id of the contact who stands at this place in the list (1 is the first)."""
    return uuid5(ALARM_ID, f"contact {place}")
