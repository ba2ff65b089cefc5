"""The contact line: contacts in order, in rounds, until one presses the key (Xuhui X2)."""

from __future__ import annotations

from uuid import UUID

from alarm_core.alarm import Leg
from alarm_core.commands import Party, Purpose
from alarm_core.events import CallOutcome, Helper
from alarm_core.rules import duty
from alarm_core.rules.turn import Turn

_NOT_THROUGH = (CallOutcome.FAILED,)
_NOT_TRIED = (CallOutcome.ENGAGED, CallOutcome.LOST)
"""The phone was taken by another alarm, or the call was lost by a fault of ours: the contact was not asked."""
_TRUNK_PAUSE_FACTOR = 2.0
PATIENCE = "patience:"


def start(turn: Turn) -> None:
    """Begin a new set of rounds, unless one is running."""
    line = turn.alarm.contacts
    if line.state == "calling":
        return
    turn.unwake("contacts_again")
    line.state, line.round, line.refused = "calling", 1, []
    _begin_round(turn)
    advance(turn)


def stop(turn: Turn) -> None:
    """Somebody goes or has it: nobody else is called. Who is listening just now is told so by the conversation."""
    turn.alarm.contacts.state = "stopped"
    turn.unwake("contact_next", "contacts_again")
    turn.unwake(*(name for name in turn.alarm.wakes if name.startswith(PATIENCE)))
    turn.stop_ringing(Purpose.CONFIRM)


def advance(turn: Turn) -> None:
    """Call as many contacts at once as the plan says, in order."""
    line = turn.alarm.contacts
    plan = turn.plan.contacts
    if line.state != "calling" or not turn.alarm.open or "contact_next" in turn.alarm.wakes:
        return
    if turn.postponed("contact_next"):
        return
    order = _order(turn)
    while _under_way(turn) < plan.parallel:
        if line.position < len(order):
            contact = order[line.position]
            if _still_rings(turn, contact):
                return  # the call in a row comes after this one
            line.position += 1
            if _may_be_called(turn, contact):
                assert contact.number is not None
                line.called += 1
                turn.call(
                    Party.CONTACT,
                    Purpose.CONFIRM,
                    contact.number,
                    who=contact.id,
                    ring_seconds=plan.ring_seconds,
                    if_engaged="skip",
                )
        elif _talking(turn) or not _next_round(turn):
            return


def answered(turn: Turn, call_id: UUID) -> None:
    """Somebody or something picked up: without a key in time the next contact has the turn as well."""
    if turn.alarm.contacts.state == "calling":
        turn.wake(f"{PATIENCE}{call_id}", turn.plan.contacts.patience_seconds)


def ended(turn: Turn, leg: Leg, outcome: CallOutcome) -> None:
    """A contact's call is over without a yes: after a short pause the next one."""
    line = turn.alarm.contacts
    if line.state != "calling":
        return
    pause = turn.plan.contacts.pause_seconds
    if outcome in _NOT_THROUGH:
        line.failures = min(line.failures + 1, 5)
        pause = max(pause, 0.5) * _TRUNK_PAUSE_FACTOR**line.failures
    elif outcome not in _NOT_TRIED:
        line.failures = 0
        line.reached_network = True
    if pause and not leg.replied:
        turn.wake("contact_next", pause)
    advance(turn)


def _next_round(turn: Turn) -> bool:
    """Go to the next round; False when everyone was tried and the line rests.

    A round in which no call got past the trunk, or in which every phone was taken, does not count: the contacts have
    not been tried.
    """
    line = turn.alarm.contacts
    if not line.called:
        _rest(turn)
        return False
    if line.reached_network:
        line.round += 1
        if line.round > turn.plan.contacts.rounds:
            _rest(turn)
            return False
        _begin_round(turn)
        return True
    duty.start(turn, "nobody_reached")
    _begin_round(turn)
    if line.failures:  # that pause is over
        return True
    turn.wake("contact_next", turn.plan.duty.pause_seconds)
    return False


def _begin_round(turn: Turn) -> None:
    line = turn.alarm.contacts
    line.position, line.called, line.reached_network = 0, 0, False


def _rest(turn: Turn) -> None:
    turn.alarm.contacts.state = "resting"
    turn.wake("contacts_again", turn.plan.contacts.again_after_seconds)
    duty.start(turn, "nobody_reached")


def _order(turn: Turn) -> list[Helper]:
    """One round: those who ring together stay together, so that the calls in a row follow each other."""
    everyone, plan = turn.alarm.brief.contacts, turn.plan.contacts
    together = [everyone[first : first + plan.parallel] for first in range(0, len(everyone), plan.parallel)]
    return [contact for group in together for _ in range(plan.calls_in_a_row) for contact in group]


def _still_rings(turn: Turn, contact: Helper) -> bool:
    return any(
        leg.who == contact.id and leg.state in ("queued", "placed", "ringing")
        for leg in turn.legs(Purpose.CONFIRM).values()
    )


def _talking(turn: Turn) -> list[tuple[UUID, Leg]]:
    return [(call_id, leg) for call_id, leg in turn.legs(Purpose.CONFIRM).items() if leg.state != "waiting"]


def _under_way(turn: Turn) -> int:
    """Calls that the next contact waits for: not those that were answered and try our patience."""
    return sum(leg.state != "answered" or f"{PATIENCE}{key}" in turn.alarm.wakes for key, leg in _talking(turn))


def _may_be_called(turn: Turn, contact: Helper) -> bool:
    return (
        contact.number is not None
        and contact.id not in turn.alarm.helpers
        and contact.id not in turn.alarm.contacts.refused
        and not turn.rings_already(contact.number)
    )
