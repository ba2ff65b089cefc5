"""What people say: with the keys of their phones, and what the service's staff enter."""

from __future__ import annotations

from uuid import UUID

from alarm_core.alarm import Phase
from alarm_core.events import (
    ArrivalReply,
    DutyReply,
    ElderReply,
    HelperMinutes,
    HelperReply,
    Situation,
    StaffEntry,
)
from alarm_core.rules import calls, contacts, duty, elder, ending, helpers
from alarm_core.rules.turn import Turn


def elder_reply(turn: Turn, event: ElderReply) -> None:
    calls.leg_becomes(turn, event.call_id, "answered")
    if event.reply != "silent":
        _replied(turn, event.call_id)
    if turn.alarm.open:
        elder.replied(turn, event)


def helper_reply(turn: Turn, event: HelperReply) -> None:
    calls.leg_becomes(turn, event.call_id, "answered")
    if not turn.alarm.open or not _known(turn, event.who):
        return
    leg = turn.alarm.legs.get(event.call_id)
    match event.reply:
        case "going":
            _replied(turn, event.call_id)
            helpers.accepted(turn, event.who)
        case "cannot":
            _replied(turn, event.call_id)
            turn.alarm.contacts.refused.append(event.who)
            if event.who in turn.alarm.helpers:
                helpers.gave_up(turn, event.who)
        case "person":
            if leg is not None:
                leg.state = "waiting"
            duty.start(turn, "person_wanted")
            contacts.advance(turn)
        case "none":
            pass


def helper_minutes(turn: Turn, event: HelperMinutes) -> None:
    if turn.alarm.open:
        helpers.expected(turn, event.who, event.minutes)


def arrival_reply(turn: Turn, event: ArrivalReply) -> None:
    calls.leg_becomes(turn, event.call_id, "answered")
    _replied(turn, event.call_id)
    if not turn.alarm.open or not _known(turn, event.who):
        return
    match event.reply:
        case "arrived":
            helpers.arrived(turn, event.who)
        case "delayed":
            helpers.expected(turn, event.who, turn.plan.help.default_minutes)
        case "cannot":
            helpers.gave_up(turn, event.who)


def situation(turn: Turn, event: Situation) -> None:
    calls.leg_becomes(turn, event.call_id, "answered")
    _replied(turn, event.call_id)
    if not turn.alarm.open:
        return
    if event.reply == "safe":
        ending.resolve(turn, "helped")
    else:
        duty.start(turn, "more_help")


def duty_reply(turn: Turn, event: DutyReply) -> None:
    calls.leg_becomes(turn, event.call_id, "answered")
    if not turn.alarm.open:
        return
    if event.reply != "cannot":
        _replied(turn, event.call_id)
    match event.reply:
        case "taken":
            duty.taken(turn)
            contacts.stop(turn)
        case "settled":
            ending.resolve(turn, "handled")
        case "working":
            duty.taken(turn)
        case "call_again":
            turn.alarm.phase = Phase.ALERTING
            turn.wake("duty_check", turn.plan.duty.check_seconds)
            contacts.start(turn)
        case "cannot":
            pass


def staff_entry(turn: Turn, event: StaffEntry) -> None:
    alarm = turn.alarm
    match event.action:
        case "note":
            pass
        case "close":
            if not alarm.open:
                ending.close(turn)
        case _ if not alarm.open:
            pass
        case "take":
            duty.stop(turn)
            duty.taken(turn)
            contacts.stop(turn)
        case "arrived":
            alarm.phase = Phase.ATTENDED
            contacts.stop(turn)
            turn.wake("duty_check", turn.plan.help.report_seconds)
        case "resolve":
            ending.resolve(turn, "handled")
        case "withdraw":
            ending.resolve(turn, "withdrawn")
        case "call_again":
            contacts.start(turn)


def _replied(turn: Turn, call_id: UUID) -> None:
    leg = turn.alarm.legs.get(call_id)
    if leg is not None:
        leg.replied = True


def _known(turn: Turn, who: UUID) -> bool:
    return any(contact.id == who for contact in turn.alarm.brief.contacts)
