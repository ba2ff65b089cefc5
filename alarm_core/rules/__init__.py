"""The alarm rules: `rules(alarm, event, now) -> Decision`. Pure: no clock, no socket, no database, no chance.

Each line of an alarm (elder, contacts, help on the way, duty) is a module; this one says which event concerns which.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from alarm_core.alarm import Alarm, Leg, Phase
from alarm_core.commands import Party, Purpose
from alarm_core.events import (
    ArrivalReply,
    CallAnswered,
    CalledIn,
    CallEnded,
    CallOutcome,
    CallPlaced,
    CallRinging,
    DutyReply,
    ElderReply,
    Event,
    HelperMinutes,
    HelperReply,
    Opened,
    SignalCleared,
    SignalJoined,
    SignalRef,
    Situation,
    StaffEntry,
    WakeDue,
)
from alarm_core.rules import contacts, duty, elder, ending, helpers
from alarm_core.rules.turn import Decision, Turn
from alarm_core.signal import SWEEP

__all__ = ["Decision", "open_alarm", "rules"]


def open_alarm(alarm_id: UUID, event: Opened, now: datetime) -> Decision:
    """A new alarm from its first event."""
    alarm = Alarm(
        id=alarm_id,
        kind=event.brief.plan.kind,
        device_id=event.signal.device_id,
        opened_at=now,
        brief=event.brief,
        last_signal_at=now,
        danger_at=_device_time(event.signal),
        seq=1,
    )
    turn = Turn(alarm, now)
    turn.wake("watchdog", turn.plan.talk_seconds)
    _begin(turn)
    return _decision(turn)


def rules(alarm: Alarm, event: Event, now: datetime) -> Decision:
    """What this event does to the alarm. The given alarm is not changed."""
    if isinstance(event, WakeDue) and alarm.wakes.get(event.name) != event.key:
        return Decision(alarm, applied=False)
    turn = Turn(alarm.draft(), now)
    turn.alarm.seq += 1
    _REACTIONS[type(event)](turn, event)
    return _decision(turn)


def _decision(turn: Turn) -> Decision:
    # A wake that was set and taken back within this turn leaves no trace.
    born_dead = {command.key for command in turn.commands if command.key in turn.cancelled}
    return Decision(
        turn.alarm,
        tuple(command for command in turn.commands if command.key not in born_dead),
        tuple(key for key in turn.cancelled if key not in born_dead),
    )


def _begin(turn: Turn) -> None:
    """Within the plan's hours; outside them, wait for the morning (device faults, never emergencies)."""
    turn.unwake("hours")
    if turn.postponed("hours"):
        return
    if turn.plan.duty.first or (not turn.alarm.brief.numbers and not turn.alarm.brief.contacts):
        turn.alarm.phase = Phase.ALERTING
        turn.alarm.elder.state = "done"
        duty.start(turn, "unknown")
    else:
        elder.start(turn)


def _opened(turn: Turn, event: Opened) -> None:
    raise ValueError("an alarm is opened once: use open_alarm")


def _signal_joined(turn: Turn, event: SignalJoined) -> None:
    """The more serious kind takes the lead, with its plan."""
    alarm = turn.alarm
    alarm.last_signal_at = turn.now
    if event.signal.device_id == alarm.device_id:
        alarm.danger_at = _device_time(event.signal) or alarm.danger_at
    if not alarm.open or event.plan.severity <= turn.plan.severity:
        return
    alarm.kind = event.plan.kind
    alarm.brief = alarm.brief.model_copy(update={"plan": event.plan})
    for pause in ("elder_again", "contact_next", "duty_next"):
        if pause in alarm.wakes:  # of the plan that led until now: half an hour perhaps, or until the morning
            turn.wake(pause, 0)
    if alarm.phase is Phase.RECEIVED:
        _begin(turn)
    elif alarm.phase is Phase.VERIFYING:
        if turn.plan.verify.contacts_at_once:
            contacts.start(turn)
    elif alarm.phase is Phase.ALERTING:
        contacts.start(turn)
    else:
        duty.start(turn, "worse")


def _device_time(signal: SignalRef) -> datetime | None:
    return None if signal.source == SWEEP else signal.at


def _signal_cleared(turn: Turn, event: SignalCleared) -> None:
    alarm = turn.alarm
    same_device = event.signal.device_id == alarm.device_id
    if same_device and alarm.danger_at is not None and event.signal.at < alarm.danger_at:
        return  # sent before the danger, arrived after it
    nobody_moved = not alarm.helpers and alarm.elder.result != "help"
    if turn.plan.clear_ends and alarm.open and event.signal.kind == alarm.kind and nobody_moved:
        ending.resolve(turn, "cleared")


def _wake_due(turn: Turn, event: WakeDue) -> None:
    del turn.alarm.wakes[event.name]
    name, _, who = event.name.partition(":")
    match name:
        case "hours":
            if turn.alarm.phase is Phase.RECEIVED:  # unless somebody took it in the meantime
                _begin(turn)
        case "elder_again":
            elder.call(turn)
        case "contact_next" | "patience":
            contacts.advance(turn)
        case "contacts_again":
            contacts.start(turn)
        case "duty_next":
            duty.advance(turn)
        case "duty_check":
            duty.check(turn)
        case "arrival":
            helpers.ask(turn, UUID(who))
        case "tell":
            ending.tell(turn, UUID(who))
        case "follow_up":
            turn.alarm.phase = Phase.FOLLOW_UP
        case "watchdog":
            _watch(turn)


def _watch(turn: Turn) -> None:
    """The last net: a call whose end was never heard is given up, and an alarm that stands still is set going."""
    alarm = turn.alarm
    turn.wake("watchdog", turn.plan.talk_seconds)
    for call_id, leg in list(alarm.legs.items()):
        if leg.state != "queued" and leg.since is not None and turn.now - leg.since > _limit(turn):
            _leg_over(turn, call_id, CallOutcome.LOST)
    if alarm.open and not alarm.legs and set(alarm.wakes) == {"watchdog"}:
        contacts.start(turn)
        contacts.advance(turn)
        duty.start(turn, "nobody_reached")
        duty.advance(turn)
    elif not alarm.open and not alarm.legs and not ending.someone_to_tell(turn):
        turn.unwake("watchdog")


def _limit(turn: Turn) -> timedelta:
    return timedelta(seconds=turn.plan.talk_seconds)


def _call_placed(turn: Turn, event: CallPlaced) -> None:
    _leg_becomes(turn, event.call_id, "placed")


def _call_ringing(turn: Turn, event: CallRinging) -> None:
    _leg_becomes(turn, event.call_id, "ringing")


def _call_answered(turn: Turn, event: CallAnswered) -> None:
    _leg_becomes(turn, event.call_id, "answered")


_ORDER = ("queued", "placed", "ringing", "answered", "waiting")


def _leg_becomes(turn: Turn, call_id: UUID, state: Any) -> None:
    """States go forward only: what was heard late does not undo what is known. A key proves an answer, so that a call
    whose key is heard before its answer is not taken back as one that still rings."""
    leg = turn.alarm.legs.get(call_id)
    if leg is not None and _ORDER.index(state) > _ORDER.index(leg.state):
        leg.state = state
        leg.since = turn.now
        if state == "answered" and leg.purpose is Purpose.CONFIRM:
            contacts.answered(turn, call_id)


def _call_ended(turn: Turn, event: CallEnded) -> None:
    _leg_over(turn, event.call_id, event.outcome)


def _leg_over(turn: Turn, call_id: UUID, outcome: CallOutcome) -> None:
    leg = turn.alarm.legs.pop(call_id, None)
    if leg is None:
        return
    turn.unwake(f"patience:{call_id}")
    if leg.purpose is Purpose.WITHDRAWN and turn.alarm.phase is not Phase.CLOSED:
        ending.told(turn, leg.who, answered=leg.state == "answered")
    if not turn.alarm.open:
        return
    match leg.purpose:
        case Purpose.VERIFY:
            elder.ended(turn, leg)
        case Purpose.CONFIRM:
            contacts.ended(turn, leg, outcome)
        case Purpose.ARRIVAL | Purpose.SITUATION:
            helpers.ended(turn, leg)
        case Purpose.DUTY | Purpose.DUTY_CHECK:
            duty.ended(turn, leg)
    # The phone is free again: it may have been another line's turn.
    contacts.advance(turn)
    duty.advance(turn)


def _called_in(turn: Turn, event: CalledIn) -> None:
    """A contact rings back: straight into the same question. Our own call to them (it rings, or speaks to their
    voicemail) is taken back and over at once, so that its end is not taken for theirs. After the end they hear that
    they are not needed any more, until the alarm is closed."""
    contact = next((c for c in turn.alarm.brief.contacts if c.id == event.who), None)
    if contact is None or turn.alarm.phase is Phase.CLOSED or event.call_id in turn.alarm.legs:
        return
    number = contact.number or ""
    ours = [call_id for call_id, leg in turn.alarm.legs.items() if leg.who == event.who or _rings(leg, number)]
    for call_id in ours:
        turn.hang_up(call_id)
    if not turn.alarm.open:
        purpose = Purpose.WITHDRAWN
    else:
        purpose = Purpose.ARRIVAL if event.who in turn.alarm.helpers else Purpose.CONFIRM
    shared = any(leg.number == number for call_id, leg in turn.alarm.legs.items() if call_id not in ours)
    turn.alarm.legs[event.call_id] = Leg(
        party=Party.CONTACT,
        purpose=purpose,
        who=event.who,
        number="" if shared else number,  # a phone in a call of ours with somebody else is counted once
        state="answered",
        since=turn.now,
    )
    if purpose is Purpose.CONFIRM:
        contacts.answered(turn, event.call_id)
    for call_id in ours:
        _leg_over(turn, call_id, CallOutcome.CANCELLED)
    turn.unwake(f"tell:{event.who}")


def _rings(leg: Leg, number: str) -> bool:
    return leg.party is Party.CONTACT and leg.number == number and leg.state in ("queued", "placed", "ringing")


def _replied(turn: Turn, call_id: UUID) -> None:
    leg = turn.alarm.legs.get(call_id)
    if leg is not None:
        leg.replied = True


def _elder_reply(turn: Turn, event: ElderReply) -> None:
    _leg_becomes(turn, event.call_id, "answered")
    if event.reply != "silent":
        _replied(turn, event.call_id)
    if turn.alarm.open:
        elder.replied(turn, event)


def _helper_reply(turn: Turn, event: HelperReply) -> None:
    _leg_becomes(turn, event.call_id, "answered")
    if not turn.alarm.open or not _known(turn, event.who):
        return
    leg = turn.alarm.legs.get(event.call_id)
    match event.reply:
        case "going":
            _replied(turn, event.call_id)
            helpers.accepted(turn, event.who)
        case "cannot":
            _replied(turn, event.call_id)
            turn.alarm.contacts.refused.append(event.who)
            if event.who in turn.alarm.helpers:
                helpers.gave_up(turn, event.who)
        case "person":
            if leg is not None:
                leg.state = "waiting"
            duty.start(turn, "person_wanted")
            contacts.advance(turn)
        case "none":
            pass


def _known(turn: Turn, who: UUID) -> bool:
    return any(contact.id == who for contact in turn.alarm.brief.contacts)


def _helper_minutes(turn: Turn, event: HelperMinutes) -> None:
    if turn.alarm.open:
        helpers.expected(turn, event.who, event.minutes)


def _arrival_reply(turn: Turn, event: ArrivalReply) -> None:
    _leg_becomes(turn, event.call_id, "answered")
    _replied(turn, event.call_id)
    if not turn.alarm.open or not _known(turn, event.who):
        return
    match event.reply:
        case "arrived":
            helpers.arrived(turn, event.who)
        case "delayed":
            helpers.expected(turn, event.who, turn.plan.help.default_minutes)
        case "cannot":
            helpers.gave_up(turn, event.who)


def _situation(turn: Turn, event: Situation) -> None:
    _leg_becomes(turn, event.call_id, "answered")
    _replied(turn, event.call_id)
    if not turn.alarm.open:
        return
    if event.reply == "safe":
        ending.resolve(turn, "helped")
    else:
        duty.start(turn, "more_help")


def _duty_reply(turn: Turn, event: DutyReply) -> None:
    _leg_becomes(turn, event.call_id, "answered")
    if not turn.alarm.open:
        return
    if event.reply != "cannot":
        _replied(turn, event.call_id)
    match event.reply:
        case "taken":
            duty.taken(turn)
            contacts.stop(turn)
        case "settled":
            ending.resolve(turn, "handled")
        case "working":
            duty.taken(turn)
        case "call_again":
            turn.alarm.phase = Phase.ALERTING
            turn.wake("duty_check", turn.plan.duty.check_seconds)
            contacts.start(turn)
        case "cannot":
            pass


def _staff_entry(turn: Turn, event: StaffEntry) -> None:
    alarm = turn.alarm
    match event.action:
        case "note":
            pass
        case "close":
            if not alarm.open:
                ending.close(turn)
        case _ if not alarm.open:
            pass
        case "take":
            duty.stop(turn)
            duty.taken(turn)
            contacts.stop(turn)
        case "arrived":
            alarm.phase = Phase.ATTENDED
            contacts.stop(turn)
            turn.wake("duty_check", turn.plan.help.report_seconds)
        case "resolve":
            ending.resolve(turn, "handled")
        case "withdraw":
            ending.resolve(turn, "withdrawn")
        case "call_again":
            contacts.start(turn)


_REACTIONS: dict[type[Event], Callable[[Turn, Any], None]] = {
    Opened: _opened,
    SignalJoined: _signal_joined,
    SignalCleared: _signal_cleared,
    WakeDue: _wake_due,
    CallPlaced: _call_placed,
    CallRinging: _call_ringing,
    CallAnswered: _call_answered,
    CallEnded: _call_ended,
    CalledIn: _called_in,
    ElderReply: _elder_reply,
    HelperReply: _helper_reply,
    HelperMinutes: _helper_minutes,
    ArrivalReply: _arrival_reply,
    Situation: _situation,
    DutyReply: _duty_reply,
    StaffEntry: _staff_entry,
}
