"""What must hold of every alarm at every moment (docs/architecture.md, "What is guaranteed")."""

from __future__ import annotations

from alarm_core.alarm import Alarm, Phase
from alarm_core.commands import Purpose


def broken(alarm: Alarm) -> list[str]:
    """The guarantees that this state breaks, in words; an empty list when all hold.

    The watchdog does not count as a next step: it is the net below the rules, not a part of them.
    """
    found = []
    steps = set(alarm.wakes) - {"watchdog"}
    if alarm.open and not alarm.legs and not steps:
        found.append("an open alarm without a next step")
    if alarm.open:
        found += [f"the {line} line stands still" for line in _standing_still(alarm)]
    if alarm.open and "watchdog" not in alarm.wakes:
        found.append("an open alarm without its net")
    if alarm.phase is Phase.CLOSED and (alarm.wakes or any(leg.state == "queued" for leg in alarm.legs.values())):
        found.append("a closed alarm with something still to come")
    numbers = [leg.number for leg in alarm.legs.values() if leg.number]
    if len(numbers) != len(set(numbers)):
        found.append("one phone twice at the same moment")
    if alarm.open == (alarm.outcome is not None):
        found.append("an outcome and an open phase, or neither")
    return found


def _standing_still(alarm: Alarm) -> list[str]:
    """Lines that are at work by their own word and have neither a call nor a wake."""
    wakes = alarm.wakes
    calls = {leg.purpose for leg in alarm.legs.values() if leg.state != "waiting"}
    duty_calls = calls & {Purpose.DUTY, Purpose.DUTY_CHECK}
    unwatched = [
        who
        for who in alarm.helpers
        if f"arrival:{who}" not in wakes and not any(leg.who == who for leg in alarm.legs.values())
    ]
    goes_on = {
        "elder": alarm.elder.state != "calling" or Purpose.VERIFY in calls or "elder_again" in wakes,
        "contact": {
            "calling": Purpose.CONFIRM in calls or "contact_next" in wakes,
            "resting": "contacts_again" in wakes,
        }.get(alarm.contacts.state, True),
        "seat": {
            "calling": Purpose.DUTY in calls or "duty_next" in wakes,
            "taken": bool(duty_calls) or "duty_check" in wakes,
        }.get(alarm.duty.state, True),
        "help": not unwatched,
    }
    return [line for line, fine in goes_on.items() if not fine]
