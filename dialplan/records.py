"""The record that the dialplan leaves of each call when it ends ([hangup-record])."""

import json
import re
from dataclasses import dataclass

FAMILY = "careline"
"""AstDB family; the key is the call's id. Read with AMI DBGet, deleted once it is in the database."""

HANDLER = "hangup-record,s,1"
"""Where Originate's variable CHANNEL(hangup_handler_push) must point."""

PHONE_GROUP = "GROUP(phone)"
"""Originate's variable that says which phone the leg is at: the dialplan calls no phone that is in a call."""

LED_LEG = re.compile(r"Local/(\d+)@duty-leg-")
"""How the name of a channel begins by which the dialplan calls a duty phone by itself."""


@dataclass(frozen=True)
class HangupRecord:
    """What became of a call. Times are Unix seconds of the Asterisk machine's clock, or None.

    `cause`: Q.850 hangup cause; 0 when none was given. `sip`: the last SIP answer of the far end
    if it was a refusal (486, 603, …). `up`: the leg was answered. `answered`: the moment an
    outbound leg entered its door; None for a leg that came in. `agi`: AGISTATUS of the last
    conversation. `note`: "agi_failed" when the service could not be reached or broke off. `duty`:
    place in the list of duty phones of the one that was tried last by the dialplan, 0 for none;
    with `up` and without a later conversation it is the one that took the call.
    """

    cause: int
    sip: int | None
    up: bool
    door: str
    started: float | None
    answered: float | None
    ended: float
    agi: str
    next: str
    duty: int
    note: str

    @classmethod
    def parse(cls, value: str) -> "HangupRecord":
        """Read the value of an AstDB entry; ValueError when it is no hangup record."""
        try:
            fields = json.loads(value)
            return cls(
                cause=int(fields["cause"] or 0),
                sip=_refusal(fields["sip"]),
                up=fields["state"] == "Up",
                door=fields["door"],
                started=_time(fields["started"]),
                answered=_time(fields["answered"]),
                ended=float(fields["ended"]),
                agi=fields["agi"],
                next=fields["next"],
                duty=int(fields["duty"] or 0),
                note=fields["note"],
            )
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"not a hangup record: {error!r}") from None


def _refusal(text: str) -> int | None:
    code = int(text or 0)
    return code if code >= 300 else None


def _time(text: str) -> float | None:
    return float(text) if text else None
