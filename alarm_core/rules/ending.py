"""The end of the danger, and of the alarm."""

from __future__ import annotations

from uuid import UUID

from alarm_core.alarm import Outcome, Phase
from alarm_core.commands import Party, Purpose
from alarm_core.rules import duty
from alarm_core.rules.turn import Turn

_EVERY = tuple(Purpose)


def resolve(turn: Turn, outcome: Outcome) -> None:
    """Nobody else is called; who is on the way to an elder who is well is told so; a follow-up becomes due (X5, B3)."""
    alarm = turn.alarm
    alarm.phase, alarm.outcome = Phase.RESOLVED, outcome
    alarm.contacts.state = "stopped"
    alarm.duty.state = "idle"
    turn.unwake(*alarm.wakes)
    turn.stop_ringing(*_EVERY)
    duty.send_back_waiting(turn)
    turn.wake("watchdog", turn.plan.talk_seconds)
    turn.wake("follow_up", turn.plan.follow_up_seconds)
    if outcome in ("withdrawn", "cleared"):
        for who, helper in alarm.helpers.items():
            if not helper.arrived:
                helper.asked = 0
                turn.wake(f"tell:{who}", 0)


def someone_to_tell(turn: Turn) -> bool:
    return any(name.startswith("tell:") for name in turn.alarm.wakes)


def tell(turn: Turn, who: UUID) -> None:
    """Call a contact who is on the way: no longer needed."""
    contact = next(c for c in turn.alarm.brief.contacts if c.id == who)
    if contact.number is None:
        return
    if turn.rings_already(contact.number):
        turn.wake(f"tell:{who}", max(turn.plan.help.pause_seconds, 1))
        return
    helper = turn.alarm.helpers[who]
    helper.asked += 1
    turn.call(Party.CONTACT, Purpose.WITHDRAWN, contact.number, who=who, ring_seconds=turn.plan.help.ring_seconds)


def told(turn: Turn, who: UUID | None, *, answered: bool) -> None:
    if who in turn.alarm.helpers and not answered and turn.alarm.helpers[who].asked < turn.plan.help.arrival_calls:
        turn.wake(f"tell:{who}", turn.plan.help.pause_seconds)


def close(turn: Turn) -> None:
    """After this nothing rings."""
    turn.alarm.phase = Phase.CLOSED
    turn.unwake(*turn.alarm.wakes)
    for call_id in turn.alarm.legs:
        turn.hang_up(call_id)
    turn.alarm.legs = {call_id: leg for call_id, leg in turn.alarm.legs.items() if leg.state != "queued"}
