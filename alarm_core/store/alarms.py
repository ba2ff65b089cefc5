"""Alarms in Postgres: an event is applied in one transaction, in two round trips."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from alarm_core.alarm import Alarm
from alarm_core.events import EVENT, Event, Opened
from alarm_core.rules import Decision, open_alarm, rules
from alarm_core.store import record
from alarm_core.store.database import Database, Statement, Transaction
from alarm_core.store.record import Happening, Logged

_LOCK = "SELECT state, brief, clock_timestamp() FROM alarm WHERE id = %s FOR UPDATE"
_KNOWN = "SELECT key FROM event WHERE alarm_id = %s AND key = ANY(%s)"
_EVENTS = "SELECT seq, at, type, source, data FROM event WHERE alarm_id = %s ORDER BY seq"


class UnknownAlarmError(LookupError):
    """No alarm has this id."""


class Alarms:
    """Applies events. `on_commands` is told which kinds of commands were written (None: perhaps any): at once when it
    was here, by `heard` when another process did it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.origin = uuid4().hex
        self.on_commands: list[Callable[[frozenset[str] | None], None]] = []

    async def apply(self, alarm_id: UUID, *happenings: Happening, also: Sequence[Statement] = ()) -> Alarm:
        """Append the events, run the rules, save what follows and `also`; returns the alarm after the commit.

        A happening whose key is in the log already changes nothing. Raises UnknownAlarmError.
        """
        async with self._database.transaction() as tx:
            decisions, statements = await self.decide(tx, alarm_id, happenings)
            # An empty decision list means that nothing new happened; `also` (a call's record) still counts.
            await tx.together([*statements, *also], commit=True)
        self.announce(decisions)
        return decisions[-1].alarm

    async def decide(
        self, tx: Transaction, alarm_id: UUID, happenings: Sequence[Happening]
    ) -> tuple[list[Decision], list[Statement]]:
        """Lock the alarm and run the rules; returns the decisions (at least one) and the statements to run."""
        keys = [happening.key for happening in happenings if happening.key]
        rows, known_rows = await tx.together([(_LOCK, (alarm_id,)), (_KNOWN, (alarm_id, keys))])
        if not rows:
            raise UnknownAlarmError(f"no alarm {alarm_id}")
        state, brief, now = rows[0]
        before = Alarm.model_validate({**state, "brief": brief})
        known = {key for (key,) in known_rows}
        decisions, events = _applied(before, happenings, known, now)
        if not events:
            return [Decision(before)], []
        after = decisions[-1].alarm
        return decisions, [
            record.changed(before, after, now),
            *record.logged(events),
            *record.decided(decisions, now),
            record.notified(decisions, self.origin),
        ]

    def announce(self, decisions: Sequence[Decision]) -> None:
        kinds = frozenset(command.type for decision in decisions for command in decision.commands)
        if kinds:
            for told in self.on_commands:
                told(kinds)

    def heard(self, payload: str | None) -> None:
        """Pass on a notification of another process; our own were announced when they were committed.

        None (the connection was lost): anything may have been missed.
        """
        news = {} if payload is None else json.loads(payload)
        if news.get("origin") == self.origin:
            return
        kinds = frozenset(news["commands"]) if "commands" in news else None
        for told in self.on_commands:
            if kinds is None or kinds:
                told(kinds)

    async def load(self, alarm_id: UUID) -> Alarm:
        """The alarm as it stands. Raises UnknownAlarmError."""
        rows = await self._database.query("SELECT state, brief FROM alarm WHERE id = %s", (alarm_id,))
        if not rows:
            raise UnknownAlarmError(f"no alarm {alarm_id}")
        return Alarm.model_validate({**rows[0][0], "brief": rows[0][1]})

    async def history(self, alarm_id: UUID) -> list[tuple[datetime, Event]]:
        """Every event with its time, in order."""
        rows = await self._database.query(_EVENTS, (alarm_id,))
        return [(at, EVENT.validate_python({**data, "type": kind})) for _, at, kind, _, data in rows]


def _applied(
    before: Alarm, happenings: Sequence[Happening], known: set[Any], now: datetime
) -> tuple[list[Decision], list[Logged]]:
    decisions: list[Decision] = []
    events: list[Logged] = []
    current = before
    for happening in happenings:
        if happening.key in known and happening.key is not None:
            continue
        known.add(happening.key)
        decision = rules(current, happening.event, now)
        if decision.applied:
            current = decision.alarm
            decisions.append(decision)
            events.append(Logged(current.id, current.seq, now, happening))
    return decisions, events


def replayed(alarm_id: UUID, history: Sequence[tuple[datetime, Event]]) -> Alarm:
    """The fold of a history from nothing: what the alarm's row must be."""
    (opened_at, first), *rest = history
    if not isinstance(first, Opened):
        raise TypeError(f"the log of alarm {alarm_id} begins with {first.type}, not with its opening")
    alarm = open_alarm(alarm_id, first, opened_at).alarm
    for at, event in rest:
        alarm = rules(alarm, event, at).alarm
    return alarm
