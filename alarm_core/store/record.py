"""How a decision of the rules becomes rows: the one place that writes alarms, events and commands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from pydantic_core import to_json

from alarm_core.alarm import Alarm
from alarm_core.commands import Command, PlaceCall, Wake
from alarm_core.events import (
    ArrivalReply,
    DutyReply,
    ElderReply,
    Event,
    HelperReply,
    Opened,
    SignalCleared,
    SignalJoined,
    Situation,
)
from alarm_core.rules import Decision
from alarm_core.store.database import CHANNEL, Statement


@dataclass(frozen=True, slots=True)
class Happening:
    """An event on its way into the log. `key` names it: the same key a second time is the same happening.

    `source`: where it was seen ("mqtt", "http", "ami", "conversation", "clock", "staff:NAME").
    """

    event: Event
    source: str
    key: str | None


@dataclass(frozen=True, slots=True)
class Logged:
    """A happening with its place in the log."""

    alarm_id: UUID
    seq: int
    at: datetime
    happening: Happening


_INSERT_EVENTS = """
INSERT INTO event (alarm_id, seq, at, type, source, key, data)
SELECT * FROM unnest(%s::uuid[], %s::int[], %s::timestamptz[], %s::text[], %s::text[], %s::text[], %s::jsonb[])
"""
_INSERT_ALARMS = """
INSERT INTO alarm (id, elder_id, device_id, kind, severity, phase, outcome, opened_at, seq, brief, state)
SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::text[], %s::text[], %s::int[], %s::text[], %s::text[],
                     %s::timestamptz[], %s::int[], %s::jsonb[], %s::jsonb[])
"""
_UPDATE_ALARM = """
UPDATE alarm SET kind = %s, severity = %s, phase = %s, outcome = %s, seq = %s, state = %s::jsonb,
       brief = coalesce(%s::jsonb, brief),
       ended_at = CASE WHEN %s THEN NULL ELSE coalesce(ended_at, %s) END
WHERE id = %s
"""
_INSERT_COMMANDS = """
INSERT INTO command (key, alarm_id, type, state, due_at, rank_at, number, data)
SELECT key, alarm_id, type, 'due', due_at, rank_at, number, data
FROM unnest(%s::text[], %s::uuid[], %s::text[], %s::timestamptz[], %s::timestamptz[], %s::text[], %s::jsonb[])
     AS new (key, alarm_id, type, due_at, rank_at, number, data)
"""
_CANCEL_COMMANDS = """
UPDATE command SET state = 'cancelled', finished_at = clock_timestamp()
WHERE key = ANY(%s) AND state IN ('due', 'claimed')
"""
_REPLIED = "UPDATE call SET reply = %s WHERE id = %s"
_NOTIFY = "SELECT pg_notify(%s, %s)"


def opened(alarms: Sequence[Alarm]) -> list[Statement]:
    """New alarms."""
    if not alarms:
        return []
    columns: list[object] = [
        [a.id for a in alarms],
        [a.brief.elder_id for a in alarms],
        [a.device_id for a in alarms],
        [a.kind for a in alarms],
        [a.brief.plan.severity for a in alarms],
        [a.phase.value for a in alarms],
        [a.outcome for a in alarms],
        [a.opened_at for a in alarms],
        [a.seq for a in alarms],
        [a.brief.model_dump_json() for a in alarms],
        [_state(a) for a in alarms],
    ]
    return [(_INSERT_ALARMS, columns)]


def changed(before: Alarm, after: Alarm, now: datetime) -> Statement:
    """The alarm's new state; its brief only when the lead changed."""
    brief = None if after.brief is before.brief else after.brief.model_dump_json()
    severity = after.brief.plan.severity
    values = (after.kind, severity, after.phase.value, after.outcome, after.seq, _state(after), brief, after.open, now)
    return (_UPDATE_ALARM, (*values, after.id))


def logged(events: Sequence[Logged]) -> list[Statement]:
    """The events, and what they say about calls."""
    if not events:
        return []
    columns: list[object] = [
        [e.alarm_id for e in events],
        [e.seq for e in events],
        [e.at for e in events],
        [e.happening.event.type for e in events],
        [e.happening.source for e in events],
        [e.happening.key for e in events],
        [e.happening.event.model_dump_json(exclude={"type"}) for e in events],
    ]
    statements: list[Statement] = [(_INSERT_EVENTS, columns)]
    for entry in events:
        event = entry.happening.event
        if isinstance(event, ElderReply | HelperReply | ArrivalReply | Situation | DutyReply):
            statements.append((_REPLIED, (event.reply, event.call_id)))
    return statements


def decided(decisions: Sequence[Decision], now: datetime) -> list[Statement]:
    """New commands, and those that no longer matter."""
    statements: list[Statement] = []
    pairs = [(decision.alarm.id, command) for decision in decisions for command in decision.commands]
    cancelled = {key for decision in decisions for key in decision.cancelled}
    # Several events in one transaction: what the first set and the second took back is never written.
    written = [(alarm_id, command) for alarm_id, command in pairs if command.key not in cancelled]
    if written:
        columns: list[object] = [
            [command.key for _, command in written],
            [alarm_id for alarm_id, _ in written],
            [command.type for _, command in written],
            [_due(command, now) for _, command in written],
            [_rank(command, now) for _, command in written],
            [command.number if isinstance(command, PlaceCall) else None for _, command in written],
            [command.model_dump_json() for _, command in written],
        ]
        statements.append((_INSERT_COMMANDS, columns))
    taken_back = cancelled - {command.key for _, command in pairs}
    if taken_back:
        statements.append((_CANCEL_COMMANDS, (sorted(taken_back),)))
    return statements


def notified(decisions: Sequence[Decision], origin: str) -> Statement:
    """Tell everyone who listens which alarms moved and which kinds of commands wait, and who says so."""
    kinds = sorted({command.type for decision in decisions for command in decision.commands})
    moved = [[str(decision.alarm.id), decision.alarm.seq] for decision in decisions][:50]
    return (_NOTIFY, (CHANNEL, to_json({"alarms": moved, "commands": kinds, "origin": origin}).decode()))


def signal_key(event: Opened | SignalJoined | SignalCleared) -> str:
    return f"signal:{event.signal.device_id}:{event.signal.message_id}"[:500]


def _state(alarm: Alarm) -> str:
    return alarm.model_dump_json(exclude={"brief"})


def _due(command: Command, now: datetime) -> datetime:
    return command.due_at if isinstance(command, Wake) else now


def _rank(command: Command, now: datetime) -> datetime:
    if isinstance(command, PlaceCall):
        return now - timedelta(seconds=command.head_start_seconds)
    return _due(command, now)
