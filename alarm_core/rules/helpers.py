"""Help on the way: expected, asked for when late, arrived, reported on."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from alarm_core.alarm import Leg, OnTheWay, Phase
from alarm_core.commands import Party, Purpose
from alarm_core.events import Helper
from alarm_core.rules import contacts, duty
from alarm_core.rules.turn import Turn


def accepted(turn: Turn, who: UUID) -> None:
    """A contact pressed the key. Expected after the plan's default until the minutes are said."""
    if who not in turn.alarm.helpers:
        turn.alarm.helpers[who] = OnTheWay(accepted_at=turn.now, expected_at=turn.now)
    expected(turn, who, turn.plan.help.default_minutes)
    _somebody_goes(turn)


def _somebody_goes(turn: Turn) -> None:
    contacts.stop(turn)
    if turn.alarm.duty.reason in duty.ENDS_WHEN_SOMEBODY_GOES:
        duty.stop(turn)


def expected(turn: Turn, who: UUID, minutes: int) -> None:
    helper = turn.alarm.helpers.get(who)
    if helper is None or helper.arrived:
        return
    plan = turn.plan.help
    seconds = min(max(minutes, 1), plan.max_minutes) * plan.minute_seconds
    helper.expected_at = turn.now + timedelta(seconds=seconds)
    helper.asked = 0
    turn.wake(f"arrival:{who}", seconds + plan.grace_seconds)


def arrived(turn: Turn, who: UUID) -> None:
    helper = turn.alarm.helpers.setdefault(who, OnTheWay(accepted_at=turn.now, expected_at=turn.now))
    helper.arrived, helper.asked = True, 0
    turn.alarm.phase = Phase.ATTENDED
    _somebody_goes(turn)
    turn.wake(f"arrival:{who}", turn.plan.help.report_seconds)


def gave_up(turn: Turn, who: UUID) -> None:
    """A helper cannot come after all: the contact line comes back."""
    turn.unwake(f"arrival:{who}")
    if not turn.alarm.helpers.keys() - {who}:
        turn.alarm.phase = Phase.ALERTING
        contacts.start(turn)  # before the helper is struck off: the line does not begin with who just gave up
    turn.alarm.helpers.pop(who, None)
    turn.alarm.contacts.refused.append(who)


def ask(turn: Turn, who: UUID) -> None:
    """The time is over: call the helper. Late help brings the contact line back at once, not after the answer."""
    helper = turn.alarm.helpers[who]
    number = _contact(turn, who).number
    if turn.postponed(f"arrival:{who}"):
        return
    if number is None:  # cannot be asked, so cannot be counted on for ever
        if helper.arrived:
            turn.wake(f"arrival:{who}", turn.plan.help.report_seconds)
            duty.start(turn, "no_report")
        else:
            gave_up(turn, who)
        return
    if turn.rings_already(number):
        turn.wake(f"arrival:{who}", max(turn.plan.help.pause_seconds, 1))
        return
    helper.asked += 1
    purpose = Purpose.SITUATION if helper.arrived else Purpose.ARRIVAL
    turn.call(Party.CONTACT, purpose, number, who=who, ring_seconds=turn.plan.help.ring_seconds)
    if helper.asked > 1 and not helper.arrived:
        contacts.start(turn)  # after the call is made: another contact may share the helper's phone


def ended(turn: Turn, leg: Leg) -> None:
    """The call that asked is over. Unanswered: asked again, then no longer counted on.

    A helper who is on the line by a call of their own, or whose time is not over, has not failed to answer.
    """
    who = leg.who
    if who is None or who not in turn.alarm.helpers or f"arrival:{who}" in turn.alarm.wakes:
        return
    if any(other.who == who for other in turn.alarm.legs.values()):
        return
    helper = turn.alarm.helpers[who]
    if leg.replied:  # by a key that did not end the alarm: asked again later how it is
        turn.wake(f"arrival:{who}", turn.plan.help.report_seconds)
    elif helper.asked < turn.plan.help.arrival_calls:
        turn.wake(f"arrival:{who}", turn.plan.help.pause_seconds)
        if not helper.arrived:
            contacts.start(turn)
    elif helper.arrived:
        helper.asked = 0
        turn.wake(f"arrival:{who}", turn.plan.help.report_seconds)
        duty.start(turn, "no_report")
    else:
        gave_up(turn, who)


def _contact(turn: Turn, who: UUID) -> Helper:
    return next(contact for contact in turn.alarm.brief.contacts if contact.id == who)
