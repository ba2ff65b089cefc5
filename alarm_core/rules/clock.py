"""Wakes: what was put off and is due now; and the watchdog, the net below all lines."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from alarm_core.alarm import Phase
from alarm_core.events import (
    CallOutcome,
    WakeDue,
)
from alarm_core.rules import calls, contacts, duty, elder, ending, helpers, signals
from alarm_core.rules.turn import Turn


def wake_due(turn: Turn, event: WakeDue) -> None:
    del turn.alarm.wakes[event.name]
    name, _, who = event.name.partition(":")
    match name:
        case "hours":
            if turn.alarm.phase is Phase.RECEIVED:  # unless somebody took it in the meantime
                signals.begin(turn)
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
            calls.leg_over(turn, call_id, CallOutcome.LOST)
    if alarm.open and not alarm.legs and set(alarm.wakes) == {"watchdog"}:
        contacts.start(turn)
        contacts.advance(turn)
        duty.start(turn, "nobody_reached")
        duty.advance(turn)
    elif not alarm.open and not alarm.legs and not ending.someone_to_tell(turn):
        turn.unwake("watchdog")


def _limit(turn: Turn) -> timedelta:
    return timedelta(seconds=turn.plan.talk_seconds)
