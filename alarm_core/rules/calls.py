"""What the telephone network says of the alarm's calls: placed, ringing, answered, over, and a contact calling back."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from alarm_core.alarm import Leg, Phase
from alarm_core.commands import Party, Purpose
from alarm_core.events import (
    CallAnswered,
    CalledIn,
    CallEnded,
    CallOutcome,
    CallPlaced,
    CallRinging,
)
from alarm_core.rules import contacts, duty, elder, ending, helpers
from alarm_core.rules.turn import Turn


def placed(turn: Turn, event: CallPlaced) -> None:
    leg_becomes(turn, event.call_id, "placed")


def ringing(turn: Turn, event: CallRinging) -> None:
    leg_becomes(turn, event.call_id, "ringing")


def answered(turn: Turn, event: CallAnswered) -> None:
    leg_becomes(turn, event.call_id, "answered")


def ended(turn: Turn, event: CallEnded) -> None:
    leg_over(turn, event.call_id, event.outcome)


def called_in(turn: Turn, event: CalledIn) -> None:
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
        leg_over(turn, call_id, CallOutcome.CANCELLED)
    turn.unwake(f"tell:{event.who}")


def leg_over(turn: Turn, call_id: UUID, outcome: CallOutcome) -> None:
    leg = turn.alarm.legs.pop(call_id, None)
    if leg is None:
        return
    turn.unwake(f"{contacts.PATIENCE}{call_id}")
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


_ORDER = ("queued", "placed", "ringing", "answered", "waiting")


def leg_becomes(turn: Turn, call_id: UUID, state: Any) -> None:
    """States go forward only: what was heard late does not undo what is known. A key proves an answer, so that a call
    whose key is heard before its answer is not taken back as one that still rings."""
    leg = turn.alarm.legs.get(call_id)
    if leg is not None and _ORDER.index(state) > _ORDER.index(leg.state):
        leg.state = state
        leg.since = turn.now
        if state == "answered" and leg.purpose is Purpose.CONFIRM:
            contacts.answered(turn, call_id)


def _rings(leg: Leg, number: str) -> bool:
    return leg.party is Party.CONTACT and leg.number == number and leg.state in ("queued", "placed", "ringing")
