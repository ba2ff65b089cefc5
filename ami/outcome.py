"""What a hangup cause says about a call that we placed (Q.850)."""

from __future__ import annotations

from alarm_core.events import CallOutcome

_BY_CAUSE = {
    1: CallOutcome.INVALID,
    2: CallOutcome.INVALID,
    3: CallOutcome.INVALID,
    17: CallOutcome.BUSY,
    18: CallOutcome.NO_ANSWER,
    19: CallOutcome.NO_ANSWER,
    20: CallOutcome.NO_ANSWER,
    21: CallOutcome.REJECTED,
    22: CallOutcome.INVALID,
    26: CallOutcome.NO_ANSWER,
    28: CallOutcome.INVALID,
    31: CallOutcome.NO_ANSWER,
}


def outcome(cause: int, *, answered: bool, rang: bool, taken_back: bool) -> CallOutcome:
    """The outcome of an ended call. Everything that is not the called party's own doing is `failed`: the trunk's."""
    if answered:
        return CallOutcome.COMPLETED
    if taken_back:
        return CallOutcome.CANCELLED
    known = _BY_CAUSE.get(cause)
    if known is not None:
        return known
    # Our own ring time ran out: Asterisk gives no cause, or "normal clearing".
    return CallOutcome.NO_ANSWER if rang or cause == 16 else CallOutcome.FAILED
