"""The elder line: the elder is called first (Xuhui X2) and weeds out false alarms (X7)."""

from __future__ import annotations

from alarm_core.alarm import Leg, Phase
from alarm_core.commands import Party, Purpose
from alarm_core.events import ElderReply
from alarm_core.rules import contacts, duty, ending
from alarm_core.rules.turn import Turn


def start(turn: Turn) -> None:
    """Verify with the elder as the plan says; without a phone or a plan for it, alert at once."""
    alarm = turn.alarm
    if turn.plan.verify.calls and alarm.brief.numbers:
        alarm.phase = Phase.VERIFYING
        alarm.elder.state = "calling"
        call(turn)
        if turn.plan.verify.contacts_at_once:
            contacts.start(turn)
    else:
        alarm.elder.state = "done"
        alert(turn)


def call(turn: Turn) -> None:
    line = turn.alarm.elder
    numbers = turn.alarm.brief.numbers
    number = numbers[line.tries % len(numbers)]
    if turn.postponed("elder_again"):
        return
    if turn.rings_already(number):
        turn.wake("elder_again", max(turn.plan.verify.pause_seconds, 1))
        return
    line.tries += 1
    turn.call(Party.ELDER, Purpose.VERIFY, number, ring_seconds=turn.plan.verify.ring_seconds)


def replied(turn: Turn, event: ElderReply) -> None:
    """The elder is asked once more after silence; a key decides at once."""
    line = turn.alarm.elder
    if event.reply == "silent":
        line.result = line.result or "silent"
        return
    line.result, line.state = event.reply, "done"
    turn.unwake("elder_again")
    if event.reply == "help":
        turn.unwake("contact_next")
        alert(turn)
        contacts.advance(turn)
        if turn.plan.duty.when_help:
            duty.start(turn, "help_asked")
    elif turn.plan.verify.still_send:
        alert(turn)
    else:
        ending.resolve(turn, "withdrawn")


def ended(turn: Turn, leg: Leg) -> None:
    line = turn.alarm.elder
    if line.state != "calling" or leg.replied:
        return
    if line.tries < turn.plan.verify.calls:
        turn.wake("elder_again", turn.plan.verify.pause_seconds)
        return
    line.state = "done"
    line.result = line.result or "no_answer"
    alert(turn)


def alert(turn: Turn) -> None:
    """The elder did not say that all is well: people are called until somebody goes (or, not wishing help, has it)."""
    if turn.alarm.phase in (Phase.RECEIVED, Phase.VERIFYING):
        turn.alarm.phase = Phase.ALERTING
    if turn.alarm.phase is Phase.ATTENDED and turn.alarm.elder.result != "help":
        return
    if not turn.alarm.helpers and turn.alarm.contacts.state in ("idle", "stopped"):
        contacts.start(turn)
