"""The alarm rules: `rules(alarm, event, now) -> Decision`. Pure: no clock, no socket, no database, no chance.

Each line of an alarm (elder, contacts, helpers, duty) is a module; so is each source of events (signals, calls,
replies, clock). This one says which event goes where.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

from alarm_core.alarm import Alarm
from alarm_core.events import (
    ArrivalReply,
    CallAnswered,
    CalledIn,
    CallEnded,
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
    Situation,
    StaffEntry,
    WakeDue,
)
from alarm_core.rules import calls, clock, replies, signals
from alarm_core.rules.turn import Decision, Turn

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
        danger_at=signals.device_time(event.signal),
        seq=1,
    )
    turn = Turn(alarm, now)
    turn.wake("watchdog", turn.plan.talk_seconds)
    signals.begin(turn)
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


def _opened(turn: Turn, event: Opened) -> None:
    raise ValueError("an alarm is opened once: use open_alarm")


_REACTIONS: dict[type[Event], Callable[[Turn, Any], None]] = {
    Opened: _opened,
    SignalJoined: signals.joined,
    SignalCleared: signals.cleared,
    WakeDue: clock.wake_due,
    CallPlaced: calls.placed,
    CallRinging: calls.ringing,
    CallAnswered: calls.answered,
    CallEnded: calls.ended,
    CalledIn: calls.called_in,
    ElderReply: replies.elder_reply,
    HelperReply: replies.helper_reply,
    HelperMinutes: replies.helper_minutes,
    ArrivalReply: replies.arrival_reply,
    Situation: replies.situation,
    DutyReply: replies.duty_reply,
    StaffEntry: replies.staff_entry,
}
