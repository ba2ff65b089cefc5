"""Reads alarms, calls and quarantined messages as the documents that are shown (`alarm_core.documents`)."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any, Literal
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from alarm_core.alarm import Phase
from alarm_core.documents import (
    AlarmDocument,
    CallDocument,
    ElderShort,
    EventDocument,
    RejectedDocument,
    RejectedMessage,
    call_outcome,
    readable,
    shown,
)
from alarm_core.numbers import masked
from alarm_core.store.alarms import UnknownAlarmError
from alarm_core.store.database import Database
from alarm_core.store.tables import OPEN_PHASES, alarm, call, event, rejected_signal

State = Literal["open", "resolved", "follow_up", "closed", "all"]
_PREVIEW = 200

# Not the whole brief: it holds the plan, and a page of alarms would carry it fifty times for a name.
_ALARM = sa.select(
    *(alarm.c[name] for name in ("id", "elder_id", "device_id", "kind", "severity", "phase", "outcome")),
    *(alarm.c[name] for name in ("opened_at", "ended_at")),
    alarm.c.brief["elder_name"].astext.label("name"),
    alarm.c.brief["address"].astext.label("address"),
    alarm.c.brief["way_in"].astext.label("way_in"),
    alarm.c.brief["plan"]["label"].label("label"),
)
_CALL = sa.select(
    call,
    sa.select(sa.text("c->>'name'"))
    .select_from(sa.text("jsonb_array_elements(alarm.brief->'contacts') c"))
    .where(sa.text("c->>'id' = call.who::text"))
    .limit(1)
    .scalar_subquery()
    .label("name"),
).join(alarm, alarm.c.id == call.c.alarm_id)
_REJECTED = sa.select(
    *(c for c in rejected_signal.c if c.name != "payload"),
    sa.func.length(rejected_signal.c.payload).label("size"),
    sa.func.substring(rejected_signal.c.payload, 1, 4 * _PREVIEW).label("head"),
)


class Documents:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def alarm(self, alarm_id: UUID) -> AlarmDocument:
        """Raises UnknownAlarmError."""
        async with self._database.engine.connect() as connection:
            found = await _alarms(connection, _ALARM.where(alarm.c.id == alarm_id))
        if not found:
            raise UnknownAlarmError(f"no alarm {alarm_id}")
        return found[0]

    async def alarms(
        self,
        *,
        state: State = "open",
        kind: str | None = None,
        elder: UUID | None = None,
        limit: int = 50,
        before: UUID | None = None,
        details: bool = True,
    ) -> list[AlarmDocument]:
        """Alarms, the latest first; `before`: those that come after this one in the list.

        Without `details` their events and calls are left out.
        """
        query = _ALARM.order_by(alarm.c.opened_at.desc(), alarm.c.id.desc()).limit(limit)
        if state == "open":
            # In the words of the partial index.
            query = query.where(sa.text(f"alarm.{OPEN_PHASES}"))
        elif state != "all":
            query = query.where(alarm.c.phase == state)
        if kind is not None:
            query = query.where(alarm.c.kind == kind)
        if elder is not None:
            query = query.where(alarm.c.elder_id == elder)
        if before is not None:
            query = query.where(_earlier(alarm.c.opened_at, alarm.c.id, before))
        async with self._database.engine.connect() as connection:
            return await _alarms(connection, query, details=details)

    async def alarm_ids(self, prefix: str) -> list[UUID]:
        """Up to three alarms whose id begins so (hexadecimal digits and dashes)."""
        digits = prefix.replace("-", "").lower()
        if not digits or len(digits) > 32 or set(digits) - set("0123456789abcdef"):
            return []
        first, last = UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))
        query = sa.select(alarm.c.id).where(alarm.c.id.between(first, last)).limit(3)
        async with self._database.engine.connect() as connection:
            return list((await connection.execute(query)).scalars())

    async def has_event(self, alarm_id: UUID, key: str) -> bool:
        """Whether the alarm's log holds the happening of this key."""
        query = sa.select(event.c.seq).where(event.c.alarm_id == alarm_id, event.c.key == key)
        async with self._database.engine.connect() as connection:
            return (await connection.execute(query)).first() is not None

    async def calls(
        self,
        *,
        alarm_id: UUID | None = None,
        live: bool | None = None,
        limit: int = 50,
        before: UUID | None = None,
    ) -> list[CallDocument]:
        """Calls, the latest first. `live`: only those that last, or only those that are over."""
        query = _CALL.order_by(call.c.placed_at.desc(), call.c.id.desc()).limit(limit)
        if alarm_id is not None:
            query = query.where(call.c.alarm_id == alarm_id)
        if live is not None:
            query = query.where(call.c.ended_at.is_(None) if live else call.c.ended_at.is_not(None))
        if before is not None:
            query = query.where(_earlier(call.c.placed_at, call.c.id, before))
        async with self._database.engine.connect() as connection:
            return [_call(row) for row in (await connection.execute(query)).mappings()]

    async def rejected(
        self, *, reason: str | None = None, device_id: str | None = None, limit: int = 50, before: int | None = None
    ) -> list[RejectedDocument]:
        """Quarantined messages, the latest first."""
        query = _REJECTED.order_by(rejected_signal.c.id.desc()).limit(limit)
        if reason is not None:
            query = query.where(rejected_signal.c.reason == reason)
        if device_id is not None:
            query = query.where(rejected_signal.c.device_id == device_id)
        if before is not None:
            query = query.where(rejected_signal.c.id < before)
        async with self._database.engine.connect() as connection:
            rows = (await connection.execute(query)).mappings()
            return [RejectedDocument.model_validate(_rejected(row)) for row in rows]

    async def rejected_message(self, message_id: int) -> RejectedMessage | None:
        query = _REJECTED.add_columns(rejected_signal.c.payload).where(rejected_signal.c.id == message_id)
        async with self._database.engine.connect() as connection:
            row = (await connection.execute(query)).mappings().first()
        if row is None:
            return None
        return RejectedMessage(**_rejected(row), payload_base64=base64.b64encode(row["payload"]).decode())


def _earlier(at: sa.Column[Any], row_id: sa.Column[Any], before: UUID) -> sa.ColumnElement[bool]:
    """Behind the row `before` in a list of the latest first. Many rows can have one time: the id decides then."""
    mark = sa.select(at).where(row_id == before).scalar_subquery()
    return sa.tuple_(at, row_id) < sa.tuple_(mark, sa.literal(before, row_id.type))


async def _alarms(connection: AsyncConnection, query: sa.Select[Any], *, details: bool = True) -> list[AlarmDocument]:
    rows = list((await connection.execute(query)).mappings())
    events: dict[UUID, list[EventDocument]] = {row["id"]: [] for row in rows}
    calls: dict[UUID, list[CallDocument]] = {row["id"]: [] for row in rows}
    if details and rows:
        log = sa.select(event).where(event.c.alarm_id.in_(events)).order_by(event.c.alarm_id, event.c.seq)
        for entry in (await connection.execute(log)).mappings():
            events[entry["alarm_id"]].append(
                EventDocument(
                    seq=entry["seq"],
                    at=entry["at"],
                    type=entry["type"],
                    source=entry["source"],
                    data=shown(entry["data"]),
                )
            )
        placed = _CALL.where(call.c.alarm_id.in_(calls)).order_by(call.c.placed_at, call.c.id)
        for one in (await connection.execute(placed)).mappings():
            calls[one["alarm_id"]].append(_call(one))
    return [_alarm(row, events[row["id"]], calls[row["id"]]) for row in rows]


def _alarm(row: Any, events: Sequence[EventDocument], calls: Sequence[CallDocument]) -> AlarmDocument:
    return AlarmDocument(
        id=row["id"],
        elder=ElderShort(id=row["elder_id"], name=row["name"], address=row["address"], way_in=row["way_in"]),
        kind=row["kind"],
        label=row["label"],
        severity=row["severity"],
        phase=Phase(row["phase"]),
        device_id=row["device_id"],
        opened_at=row["opened_at"],
        ended_at=row["ended_at"],
        outcome=row["outcome"],
        events=list(events),
        calls=list(calls),
    )


def _call(row: Any) -> CallDocument:
    same = {name: row[name] for name in CallDocument.model_fields if name in row}
    return CallDocument.model_validate(
        {
            **same,
            "number_masked": masked(row["number"]),
            "outcome": call_outcome(row["reply"], row["outcome"], row["purpose"]),
            "network": row["outcome"],
        }
    )


def _rejected(row: Any) -> dict[str, Any]:
    same = {name: row[name] for name in RejectedDocument.model_fields if name in row}
    return {**same, "preview": readable(row["head"])[:_PREVIEW]}
