"""Signals into the record: a whole batch in one transaction, in two round trips for a lone alarm.

What a batch does, in order: store each signal once; look up the devices and, where it matters, their elders; open,
join or clear alarms by the rules; keep in quarantine what could not be taken as it is; note that the devices live.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg.errors
from pydantic_core import to_json

from alarm_core.commands import PlaceCall
from alarm_core.events import Brief, Event, Helper, Opened, SignalCleared, SignalJoined, SignalRef
from alarm_core.plan import Plan
from alarm_core.planbook import UNKNOWN_KIND, PlanBook, PlanError
from alarm_core.rules import Decision, open_alarm
from alarm_core.signal import SWEEP, Incoming, Receipt, Rejected, Signal, SignalState, Taken
from alarm_core.store import intake_sql as sql
from alarm_core.store import record
from alarm_core.store.alarms import Alarms
from alarm_core.store.calls import Lines, claim_of, claimed
from alarm_core.store.commands import Claimed
from alarm_core.store.database import Database, Statement, Transaction
from alarm_core.store.record import Happening, Logged

log = logging.getLogger("careline.store")

LOW_BATTERY = 0.15
_FUTURE, _PAST = timedelta(minutes=10), timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Service:
    """What an alarm needs to know beside its elder's file."""

    duty: tuple[str, ...]
    timezone: str = "Asia/Shanghai"
    pace: float = 1.0


@dataclass(slots=True)
class _Elder:
    """An elder as the batch sees it, with the alarm that is open, or was just withdrawn."""

    elder_id: UUID | None
    name: str
    risk: str
    plan: dict[str, Any]
    way_in: str
    address: str
    numbers: tuple[str, ...]
    contacts: tuple[Helper, ...]
    open_id: UUID | None = None
    settled_id: UUID | None = None
    settled_at: datetime | None = None


class _AlarmEndedError(Exception):
    """The open alarm that a danger was to join ended in the meantime: the danger needs one of its own."""


@dataclass(slots=True)
class _Work:
    """What one batch adds up to."""

    now: datetime
    opened: dict[UUID, tuple[Decision, Logged]] = field(default_factory=dict)
    joined: dict[UUID, list[Happening]] = field(default_factory=dict)
    alarm_of: dict[tuple[str, str], UUID] = field(default_factory=dict)
    settled: set[UUID] = field(default_factory=set)
    statements: list[Statement] = field(default_factory=list)


class SignalIntake:
    """The `Intake` of the record. See `alarm_core.signal.Intake` for what `take` promises."""

    def __init__(self, database: Database, alarms: Alarms, plans: PlanBook, service: Service) -> None:
        self._database = database
        self._alarms = alarms
        self._plans = plans
        self._service = service
        self._plain_plans: dict[tuple[str, str], Plan] = {}
        self.lines: Lines | None = None

    async def take(self, batch: Sequence[Incoming]) -> list[Receipt]:
        for _ in range(4):
            try:
                return await self._take(batch)
            except (psycopg.errors.UniqueViolation, psycopg.errors.DeadlockDetected):
                continue  # another process opened an alarm of the same elder just now: it is there to be joined
            except _AlarmEndedError:
                if len(batch) > 1:
                    # One by one: what is taken twice because a later one fails is known as a duplicate.
                    return [receipt for item in batch for receipt in await self.take([item])]
        return await self._take(batch)

    async def _take(self, batch: Sequence[Incoming]) -> list[Receipt]:
        signals = [item for item in batch if isinstance(item, Signal)]
        ids = sorted({signal.device_id for signal in signals} | {i.device_id for i in batch if i.device_id})
        telling = sorted({i.device_id for i in batch if i.device_id and _telling(i)})
        async with self._database.transaction() as tx:
            fresh_rows, device_rows, elder_rows, orphan_rows, ((now,),) = await tx.together(
                [
                    (sql.INSERT_SIGNALS, _columns(signals)),
                    (sql.DEVICES, (ids,)),
                    (sql.ELDERS, (telling,)),
                    (sql.ORPHANS, (telling,)),
                    (sql.CLOCK, ()),
                ]
            )
            devices = {row[0]: row for row in device_rows}
            elders = {row[0]: _elder(row) for row in elder_rows}
            # A heartbeat matters after all when its device was missed, or its battery is new news.
            late = sorted(
                {s.device_id for s in signals if s.device_id not in elders and _news(s, devices.get(s.device_id))}
            )
            if late:
                elders |= {row[0]: _elder(row) for row in await tx.all(sql.ELDERS, (late,))}
            one_elder = {elder.elder_id: elder for elder in elders.values()}
            elders = {device: one_elder[elder.elder_id] for device, elder in elders.items()}
            for device_id, alarm_id in orphan_rows:
                elders.setdefault(device_id, _nobody()).open_id = alarm_id
            work = _Work(now)
            fresh = {tuple(row) for row in fresh_rows}
            receipts = [self._judge(work, item, fresh, devices, elders) for item in batch]
            receipts = await _with_known_alarms(tx, batch, receipts, work.alarm_of)
            decisions = await self._write(tx, work, signals, devices)
        self._alarms.announce(decisions)
        for alarm_id, (decision, _) in work.opened.items():
            log.info("alarm %s opened: %s", alarm_id, decision.alarm.kind)
        return receipts

    def _judge(
        self,
        work: _Work,
        item: Incoming,
        fresh: set[tuple[Any, ...]],
        devices: dict[str, Any],
        elders: dict[str, _Elder],
    ) -> Receipt:
        if isinstance(item, Rejected):
            return self._reject(work, item, elders)
        key = (item.device_id, item.message_id)
        if key not in fresh:
            return Receipt(Taken.DUPLICATE)
        fresh.discard(key)
        device = devices.get(item.device_id)
        reason, detail = None, ""
        if device is None:
            reason, detail = "unknown_device", "no device of this id is registered: register it, or correct its id"
        elif item.at > work.now + _FUTURE or item.at < work.now - _PAST:
            reason, detail = "clock_off", f"the device says {item.at.isoformat()}: set its clock"
        alarm_id = self._act(work, item, device, elders)
        if reason is None:
            return Receipt(Taken.ACCEPTED, alarm_id)
        dangerous = item.state is SignalState.ALARM
        values = (item.source, "", _whole(item), reason, detail, item.device_id, dangerous, alarm_id)
        work.statements.append((sql.QUARANTINE, values))
        return Receipt(Taken.QUARANTINED, alarm_id, reason)

    def _act(self, work: _Work, item: Signal, device: Any, elders: dict[str, _Elder]) -> UUID | None:
        """Open, join or clear alarms. A danger is acted on even when its device is unknown or its clock is off."""
        if device is None and item.state is not SignalState.ALARM:
            return None
        alarm_id: UUID | None = None
        elder = elders.get(item.device_id)
        if elder is None:
            if device is not None:
                return None
            elder = elders[item.device_id] = _nobody()
        for kind, state in _meanings(item, device):
            if state is SignalState.CLEAR:
                alarm_id = self._clear(work, elder, item, kind) or alarm_id
            else:
                alarm_id = self._raise(work, elder, _ref(item, kind), device is None)
        if alarm_id is not None:
            work.alarm_of[(item.device_id, item.message_id)] = alarm_id
        return alarm_id

    def _reject(self, work: _Work, item: Rejected, elders: dict[str, _Elder]) -> Receipt:
        alarm_id = None
        if item.dangerous:
            device_id = item.device_id or f"{item.source}:{item.topic}"[:200]
            elder = elders.setdefault(device_id, _nobody())
            at = work.now
            ref = SignalRef(
                device_id=device_id, message_id=f"rejected-{uuid4()}", kind=UNKNOWN_KIND, at=at, source=item.source
            )
            alarm_id = self._raise(work, elder, ref, elder.elder_id is None)
        values = (item.source, item.topic, item.payload, item.reason, item.detail, item.device_id, item.dangerous)
        work.statements.append((sql.QUARANTINE, (*values, alarm_id)))
        return Receipt(Taken.QUARANTINED, alarm_id, item.reason)

    def _raise(self, work: _Work, elder: _Elder, ref: SignalRef, unknown: bool) -> UUID:
        plan = self._plan(ref.kind, elder)
        if elder.settled_id is not None and _just_settled(elder, plan, work.now):
            # The elder just said that all is well; the same device repeats itself.
            work.settled.add(elder.settled_id)
            return self._join(work, elder.settled_id, SignalJoined(signal=ref, plan=plan), ref)
        if elder.open_id is not None:
            return self._join(work, elder.open_id, SignalJoined(signal=ref, plan=plan), ref)
        if unknown:
            plan = plan.model_copy(update={"duty": plan.duty.model_copy(update={"first": True})})
        brief = Brief(
            elder_id=elder.elder_id,
            elder_name=elder.name,
            numbers=elder.numbers,
            address=elder.address,
            way_in=elder.way_in,
            contacts=elder.contacts,
            duty=self._service.duty,
            timezone=self._service.timezone,
            plan=plan,
        )
        event = Opened(signal=ref, brief=brief)
        alarm_id = uuid4()
        decision = open_alarm(alarm_id, event, work.now)
        happening = Happening(event, ref.source, record.signal_key(event))
        work.opened[alarm_id] = (decision, Logged(alarm_id, 1, work.now, happening))
        elder.open_id = alarm_id
        return alarm_id

    def _clear(self, work: _Work, elder: _Elder, item: Signal, kind: str) -> UUID | None:
        if elder.open_id is None:
            return None
        return self._join(work, elder.open_id, SignalCleared(signal=_ref(item, kind)), _ref(item, kind))

    def _join(self, work: _Work, alarm_id: UUID, event: Event, ref: SignalRef) -> UUID:
        key = f"{event.type}:{ref.kind}:{ref.device_id}:{ref.message_id}"
        work.joined.setdefault(alarm_id, []).append(Happening(event, ref.source, key))
        return alarm_id

    def _plan(self, kind: str, elder: _Elder) -> Plan:
        if not elder.plan:
            known = self._plain_plans.get((kind, elder.risk))
            if known is None:
                known = self._plans.for_alarm(kind, elder.risk).paced(self._service.pace)
                self._plain_plans[(kind, elder.risk)] = known
            return known
        try:
            return self._plans.for_alarm(kind, elder.risk, elder.plan).paced(self._service.pace)
        except PlanError:
            # Checked when it was entered; a plan that no longer fits must never keep an alarm from being raised.
            return self._plans.for_alarm(kind, elder.risk).paced(self._service.pace)

    async def _commit(self, tx: Transaction, statements: list[Statement], decisions: Sequence[Decision]) -> None:
        """With the first calls claimed in the same transaction, where lines of this process are free."""
        keys = [c.key for decision in decisions for c in decision.commands if isinstance(c, PlaceCall)]
        lent = self.lines.lend() if self.lines is not None and keys else None
        if lent is None:
            await tx.together(statements, commit=True)
            return
        placed: list[Claimed] = []
        try:
            *_, rows = await tx.together([*statements, claim_of(lent, keys)], commit=True)
            placed = claimed(rows, lent.owner)
        finally:
            assert self.lines is not None
            self.lines.use(lent, placed)

    async def _write(
        self, tx: Transaction, work: _Work, signals: Sequence[Signal], devices: dict[str, Any]
    ) -> list[Decision]:
        statements = list(work.statements)
        decisions = [decision for decision, _ in work.opened.values()]
        statements += record.opened([decision.alarm for decision in decisions])
        statements += record.logged([logged for _, logged in work.opened.values()])
        statements += record.decided(decisions, work.now)
        if decisions:
            statements.append(record.notified(decisions, self._alarms.origin))
        if work.alarm_of:
            linked = sorted(work.alarm_of.items())
            columns = [[k[0] for k, _ in linked], [k[1] for k, _ in linked], [alarm_id for _, alarm_id in linked]]
            statements.append((sql.SIGNAL_ALARM, columns))
        living = {s.device_id: s for s in signals if s.device_id in devices and s.source != SWEEP}
        if living:
            order = sorted(living)
            states = [None if living[i].state is SignalState.HEARTBEAT else living[i].state.value for i in order]
            statements.append((sql.DEVICE_LIVES, (order, states, [living[i].battery for i in order])))
        if not work.joined:
            await self._commit(tx, statements, decisions)
            return decisions
        await tx.together(statements)
        for alarm_id, happenings in sorted(work.joined.items()):
            more, writes = await self._alarms.decide(tx, alarm_id, happenings)
            if alarm_id not in work.settled and _came_too_late(happenings, more):
                raise _AlarmEndedError
            await tx.together(writes)
            decisions += more
        return decisions


def _telling(item: Incoming) -> bool:
    if isinstance(item, Rejected):
        return item.dangerous
    low = item.battery is not None and item.battery < LOW_BATTERY
    return item.state is not SignalState.HEARTBEAT or low


def _news(item: Signal, device: Any) -> bool:
    return device is not None and any(_meanings(item, device))


def _meanings(item: Signal, device: Any) -> list[tuple[str, SignalState]]:
    """What one message says beside its own kind: a device that speaks is not silent; a battery is low or well again."""
    found: list[tuple[str, SignalState]] = []
    was_low, was_silent = False, False
    if device is not None:
        was_low = device[2] is not None and device[2] < LOW_BATTERY
        was_silent = device[3]
    if was_silent and item.kind != "heartbeat_lost":
        found.append(("heartbeat_lost", SignalState.CLEAR))
    if item.battery is not None and device is not None and (item.battery < LOW_BATTERY) != was_low:
        found.append(("low_battery", SignalState.CLEAR if was_low else SignalState.ALARM))
    if item.state is SignalState.ALARM:
        found.append((item.kind, SignalState.ALARM))
    elif item.state is SignalState.FAULT:
        found.append(("device_fault", SignalState.ALARM))
    elif item.state is SignalState.CLEAR:
        found += [(item.kind, SignalState.CLEAR), ("device_fault", SignalState.CLEAR)]
    return found


def _just_settled(elder: _Elder, plan: Plan, now: datetime) -> bool:
    if elder.open_id is not None or elder.settled_at is None:
        return False
    return now - elder.settled_at < timedelta(seconds=plan.settle_seconds)


def _came_too_late(happenings: Sequence[Happening], decisions: Sequence[Decision]) -> bool:
    """Whether a joining danger found its alarm ended (the rules then record it and do nothing)."""
    return any(
        isinstance(happening.event, SignalJoined) and not decision.alarm.open
        for happening, decision in zip(happenings, decisions, strict=False)
    )


def _columns(signals: Sequence[Signal]) -> list[object]:
    return [
        [s.device_id for s in signals],
        [s.message_id for s in signals],
        [s.kind for s in signals],
        [s.state.value for s in signals],
        [s.at for s in signals],
        [s.source for s in signals],
        [None if s.value is None else to_json(s.value).decode() for s in signals],
        [s.battery for s in signals],
    ]


def _elder(row: Any) -> _Elder:
    _, elder_id, name, risk, plan, way_in, address, numbers, contacts, open_id, settled_id, settled_at = row
    helpers = tuple(Helper.model_validate(contact) for contact in contacts or ())
    return _Elder(
        elder_id, name, risk, plan, way_in, address, tuple(numbers or ()), helpers, open_id, settled_id, settled_at
    )


def _nobody() -> _Elder:
    return _Elder(None, "", "medium", {}, "", "", (), ())


def _ref(item: Signal, kind: str) -> SignalRef:
    return SignalRef(
        device_id=item.device_id,
        message_id=item.message_id,
        kind=kind,
        at=item.at,
        source=item.source,
        value=item.value,
    )


def _whole(item: Signal) -> bytes:
    return to_json(
        {
            "device_id": item.device_id,
            "id": item.message_id,
            "kind": item.kind,
            "state": item.state.value,
            "at": item.at.isoformat(),
            "value": item.value,
            "battery": item.battery,
        }
    )


async def _with_known_alarms(
    tx: Transaction, batch: Sequence[Incoming], receipts: list[Receipt], new: dict[tuple[str, str], UUID]
) -> list[Receipt]:
    """A repeated signal is answered with the alarm of the first."""
    repeated = [
        (item.device_id, item.message_id)
        for item, receipt in zip(batch, receipts, strict=True)
        if isinstance(item, Signal) and receipt.taken is Taken.DUPLICATE
    ]
    if not repeated:
        return receipts
    rows = await tx.all(sql.KNOWN_SIGNALS, ([device for device, _ in repeated], [message for _, message in repeated]))
    alarm_of = {(device, message): alarm_id for device, message, alarm_id in rows} | new
    return [
        Receipt(Taken.DUPLICATE, alarm_of.get((item.device_id, item.message_id)))
        if isinstance(item, Signal) and receipt.taken is Taken.DUPLICATE
        else receipt
        for item, receipt in zip(batch, receipts, strict=True)
    ]
