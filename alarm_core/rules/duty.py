"""The seat line. Until seats exist it is the duty phones, again and again: it never comes silently to an end."""

from __future__ import annotations

from typing import Literal

from alarm_core.alarm import Leg, Phase
from alarm_core.commands import Party, Purpose
from alarm_core.rules.turn import WISHED, Turn

ENDS_WHEN_SOMEBODY_GOES = ("nobody_reached", "person_wanted")
Reason = Literal["nobody_reached", "help_asked", "more_help", "no_report", "person_wanted", "worse", "unknown"]


def start(turn: Turn, reason: Reason) -> None:
    """Call the duty phones for this reason. One who has taken the alarm already is called again about it.

    While they are called, a reason that ends with somebody going does not replace one that does not; and a person's
    wish does not wait for the end of a pause.
    """
    line = turn.alarm.duty
    if line.state == "calling":
        if line.reason in ENDS_WHEN_SOMEBODY_GOES or reason not in ENDS_WHEN_SOMEBODY_GOES:
            line.reason = reason
        if reason in WISHED:
            turn.unwake("duty_next")
            advance(turn)
        return
    line.reason = reason
    turn.unwake("duty_check")
    line.state = "calling"
    if reason == "person_wanted":
        line.position = 0
    advance(turn)


def stop(turn: Turn) -> None:
    if turn.alarm.duty.state == "calling":
        turn.alarm.duty.state = "idle"
        turn.unwake("duty_next")
        turn.stop_ringing(Purpose.DUTY)
        send_back_waiting(turn)


def advance(turn: Turn) -> None:
    line = turn.alarm.duty
    if line.state != "calling" or not turn.alarm.open or turn.legs(Purpose.DUTY) or "duty_next" in turn.alarm.wakes:
        return
    if turn.postponed("duty_next"):
        return
    numbers = turn.alarm.brief.duty
    while line.position < len(numbers):
        number = numbers[line.position]
        if not turn.rings_already(number):
            turn.call(Party.DUTY, Purpose.DUTY, number, ring_seconds=turn.plan.duty.ring_seconds)
            return
        line.position += 1
    line.position = 0
    send_back_waiting(turn)
    turn.wake("duty_next", turn.plan.duty.pause_seconds)


def ended(turn: Turn, leg: Leg) -> None:
    """A duty call is over. Without a yes the next phone rings; callers who wait for a person are not left waiting."""
    line = turn.alarm.duty
    if leg.purpose is Purpose.DUTY and line.state == "calling":
        line.position += 1
        advance(turn)
    elif leg.purpose is Purpose.DUTY:
        send_back_waiting(turn)  # the person has left the room
    elif leg.purpose is Purpose.DUTY_CHECK and line.state != "calling" and not leg.replied:
        start(turn, "no_report")


def send_back_waiting(turn: Turn) -> None:
    """Contacts who wait for a person return to their question: they may still go themselves."""
    for call_id, leg in turn.alarm.legs.items():
        if leg.state == "waiting":
            leg.state = "answered"
            turn.redirect(call_id)


def taken(turn: Turn) -> None:
    """A person has it. Asked again after the plan's time whether it is settled."""
    turn.alarm.duty.state = "taken"
    turn.alarm.phase = Phase.ATTENDED
    turn.unwake("duty_next")
    turn.stop_ringing(Purpose.DUTY)
    turn.wake("duty_check", turn.plan.duty.check_seconds)


def check(turn: Turn) -> None:
    """Call the duty phone that took the alarm (or, taken at a screen, the first one): is it settled?"""
    numbers = turn.alarm.brief.duty
    if not numbers:
        turn.wake("duty_check", turn.plan.duty.check_seconds)
        return
    if turn.postponed("duty_check"):
        return
    number = numbers[min(turn.alarm.duty.position, len(numbers) - 1)]
    if turn.rings_already(number):
        turn.wake("duty_check", max(turn.plan.duty.pause_seconds, 1))
    else:
        turn.call(Party.DUTY, Purpose.DUTY_CHECK, number, ring_seconds=turn.plan.duty.ring_seconds)
