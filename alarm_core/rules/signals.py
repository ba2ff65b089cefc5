"""Signals: how an alarm begins, what a further signal changes, and when a device's all-clear ends it."""

from __future__ import annotations

from datetime import datetime

from alarm_core.alarm import Phase
from alarm_core.events import (
    SignalCleared,
    SignalJoined,
    SignalRef,
)
from alarm_core.rules import contacts, duty, elder, ending
from alarm_core.rules.turn import Turn
from alarm_core.signal import SWEEP


def joined(turn: Turn, event: SignalJoined) -> None:
    """The more serious kind takes the lead, with its plan."""
    alarm = turn.alarm
    alarm.last_signal_at = turn.now
    if event.signal.device_id == alarm.device_id:
        alarm.danger_at = device_time(event.signal) or alarm.danger_at
    if not alarm.open or event.plan.severity <= turn.plan.severity:
        return
    alarm.kind = event.plan.kind
    alarm.brief = alarm.brief.model_copy(update={"plan": event.plan})
    for pause in ("elder_again", "contact_next", "duty_next"):
        if pause in alarm.wakes:  # of the plan that led until now: half an hour perhaps, or until the morning
            turn.wake(pause, 0)
    if alarm.phase is Phase.RECEIVED:
        begin(turn)
    elif alarm.phase is Phase.VERIFYING:
        if turn.plan.verify.contacts_at_once:
            contacts.start(turn)
    elif alarm.phase is Phase.ALERTING:
        contacts.start(turn)
    else:
        duty.start(turn, "worse")


def cleared(turn: Turn, event: SignalCleared) -> None:
    alarm = turn.alarm
    same_device = event.signal.device_id == alarm.device_id
    if same_device and alarm.danger_at is not None and event.signal.at < alarm.danger_at:
        return  # sent before the danger, arrived after it
    nobody_moved = not alarm.helpers and alarm.elder.result != "help"
    if turn.plan.clear_ends and alarm.open and event.signal.kind == alarm.kind and nobody_moved:
        ending.resolve(turn, "cleared")


def begin(turn: Turn) -> None:
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


def device_time(signal: SignalRef) -> datetime | None:
    return None if signal.source == SWEEP else signal.at
