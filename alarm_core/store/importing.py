"""Writes the rows of an elders' file: all of them in one transaction, or none.

A second import of the same reference changes the elder: fields that the file has columns for are replaced, others stay
as they are. Contacts are replaced together if the file has any column of contacts; one of the same name stays the same
contact. Devices are added and changed, never removed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import psycopg.errors

from alarm_core.elders_csv import Fault, ImportFileError, ImportRow, read_elders
from alarm_core.people import ElderFields, check_plan
from alarm_core.planbook import PlanBook, PlanError
from alarm_core.store.database import Database, Statement

__all__ = ["Fault", "ImportFileError", "ImportRow", "Imported", "import_elders", "read_elders"]

_FIELDS = [name for name in ElderFields.model_fields if name not in ("phones", "plan")]

# In the order of their ids, as intake locks them; an alarm of one of these elders waits for the end of the import.
_ELDERS = """
SELECT reference, id, plan, name, risk, district, street, compound, building, entrance, floor, room, landmark, way_in,
       note FROM elder WHERE reference = ANY(%s) ORDER BY id FOR NO KEY UPDATE
"""
_PHONES = "SELECT elder_id, array_agg(number ORDER BY position) FROM elder_phone WHERE elder_id = ANY(%s) GROUP BY 1"
_CONTACTS = """
SELECT elder_id, id, name, relation, number FROM contact WHERE elder_id = ANY(%s) ORDER BY elder_id, position, id
"""
_DEVICES = """
SELECT d.id, d.elder_id, d.kind, d.place, d.heartbeat_seconds, e.reference
FROM device d JOIN elder e ON e.id = d.elder_id WHERE d.id = ANY(%s)
"""
_WRITE_ELDERS = """
INSERT INTO elder (id, reference, name, risk, district, street, compound, building, entrance, floor, room, landmark,
                   way_in, note)
SELECT * FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[],
                     %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[])
ON CONFLICT (id) DO UPDATE SET name = excluded.name, risk = excluded.risk, district = excluded.district,
    street = excluded.street, compound = excluded.compound, building = excluded.building,
    entrance = excluded.entrance, floor = excluded.floor, room = excluded.room, landmark = excluded.landmark,
    way_in = excluded.way_in, note = excluded.note, updated_at = now()
"""
_NO_PHONES = "DELETE FROM elder_phone WHERE elder_id = ANY(%s)"
_WRITE_PHONES = """
INSERT INTO elder_phone (elder_id, position, number) SELECT * FROM unnest(%s::uuid[], %s::int[], %s::text[])
"""
_NO_CONTACTS = "DELETE FROM contact WHERE elder_id = ANY(%s)"
_WRITE_CONTACTS = """
INSERT INTO contact (elder_id, position, id, name, relation, number)
SELECT * FROM unnest(%s::uuid[], %s::int[], %s::uuid[], %s::text[], %s::text[], %s::text[])
"""
_WRITE_DEVICES = """
INSERT INTO device (id, elder_id, kind, place, heartbeat_seconds)
SELECT * FROM unnest(%s::text[], %s::uuid[], %s::text[], %s::text[], %s::int[])
ON CONFLICT (id) DO UPDATE SET kind = excluded.kind, place = excluded.place,
    heartbeat_seconds = excluded.heartbeat_seconds
"""


@dataclass(slots=True)
class Imported:
    """How many elders were new, changed, and the same as before; devices that were new or changed."""

    added: int = 0
    changed: int = 0
    unchanged: int = 0
    devices: int = 0


@dataclass(slots=True)
class _Stored:
    """What the database holds of the file's elders and devices."""

    elders: dict[str, Any]
    phones: dict[UUID, list[str]]
    contacts: dict[UUID, list[Any]]
    devices: dict[str, Any]


@dataclass(slots=True)
class _Writes:
    """Rows to be written, column by column on the way out."""

    elders: list[tuple[Any, ...]] = field(default_factory=list)
    phones: dict[UUID, list[str]] = field(default_factory=dict)
    contacts: dict[UUID, list[tuple[Any, ...]]] = field(default_factory=dict)
    devices: list[tuple[Any, ...]] = field(default_factory=list)

    def statements(self) -> list[Statement]:
        phones = [(elder, n, number) for elder, own in self.phones.items() for n, number in enumerate(own, 1)]
        contacts = [(elder, n, *one) for elder, own in self.contacts.items() for n, one in enumerate(own, 1)]
        found: list[Statement] = []
        # Elders first: the others point at them.
        for sql, rows in ((_WRITE_ELDERS, self.elders), (_WRITE_DEVICES, self.devices)):
            found += _inserted(sql, rows)
        found += [(_NO_PHONES, (list(self.phones),)), (_NO_CONTACTS, (list(self.contacts),))]
        return found + _inserted(_WRITE_PHONES, phones) + _inserted(_WRITE_CONTACTS, contacts)


async def import_elders(database: Database, plans: PlanBook, rows: Sequence[ImportRow]) -> Imported:
    """Write all rows, or raise ImportFileError and write none."""
    try:
        async with database.transaction() as tx:
            elders = {row[0]: row[1:] for row in await tx.all(_ELDERS, ([row.reference for row in rows],))}
            ids = [elder[0] for elder in elders.values()]
            device_ids = [device.id for row in rows for device in row.devices]
            phones, contacts, devices = await tx.together(
                [(_PHONES, (ids,)), (_CONTACTS, (ids,)), (_DEVICES, (device_ids,))]
            )
            stored = _Stored(elders, {row[0]: row[1] for row in phones}, {}, {row[0]: row[1:] for row in devices})
            for elder_id, *one in contacts:
                stored.contacts.setdefault(elder_id, []).append(one)
            imported, writes, faults = Imported(), _Writes(), list[Fault]()
            for row in rows:
                faults += _plan_row(row, stored, plans, writes, imported)
            if faults:
                raise ImportFileError(faults)
            await tx.together(writes.statements(), commit=True)
    except psycopg.errors.UniqueViolation:
        message = "somebody entered one of these elders or devices just now: import the file again"
        raise ImportFileError([Fault(1, "", message)]) from None  # the cause quotes the row
    return imported


def _plan_row(row: ImportRow, stored: _Stored, plans: PlanBook, writes: _Writes, imported: Imported) -> list[Fault]:
    """Decide what this row changes; returns what does not fit."""
    known = stored.elders.get(row.reference)
    elder_id = known[0] if known else uuid4()
    before = dict(zip(_FIELDS[1:], known[2:], strict=True)) if known else dict.fromkeys(_FIELDS[1:], "")
    after = {"risk": "medium", **{k: v for k, v in before.items() if v}, **row.given}
    values = (elder_id, row.reference, *(after.get(name, "") for name in _FIELDS[1:]))
    changed = known is None or list(values[2:]) != list(known[2:])
    if known and known[1] and after["risk"] != before["risk"]:
        try:
            check_plan(plans, ElderFields(reference=row.reference, name="-", risk=after["risk"], plan=known[1]))
        except PlanError as error:
            return [Fault(row.row, "risk", f"the elder's own plan does not fit this level: {error}")]
    if changed:
        writes.elders.append(values)
    if row.phones is not None and row.phones != stored.phones.get(elder_id, []):
        writes.phones[elder_id] = row.phones
        changed = True
    if row.contacts is not None:
        contacts = _contacts(row, stored.contacts.get(elder_id, []))
        if contacts != [tuple(one) for one in stored.contacts.get(elder_id, [])]:
            writes.contacts[elder_id] = contacts
            changed = True
    if known is None:
        imported.added += 1
    elif changed:
        imported.changed += 1
    else:
        imported.unchanged += 1
    return _devices(row, elder_id, stored, writes, imported)


def _contacts(row: ImportRow, before: Sequence[Any]) -> list[tuple[Any, ...]]:
    """The contacts as (id, name, relation, number); the first stored one of the same name is the same contact."""
    left = list(before)
    found = []
    for given in row.contacts or ():
        same = next((one for one in left if one[1] == given.name), None)
        if same is not None:
            left.remove(same)
        contact_id, _, relation, number = same or (uuid4(), "", "", None)
        has = given.model_fields_set
        found.append(
            (
                contact_id,
                given.name,
                given.relation if "relation" in has else relation,
                given.number if "number" in has else number,
            )
        )
    return found


def _devices(row: ImportRow, elder_id: UUID, stored: _Stored, writes: _Writes, imported: Imported) -> list[Fault]:
    faults = []
    for device, column in zip(row.devices, row.device_columns, strict=True):
        known = stored.devices.get(device.id)
        if known and known[0] != elder_id:
            message = f"the device is registered to the elder {known[4]}: move or remove it there first"
            faults.append(Fault(row.row, column, message))
            continue
        has = device.model_fields_set
        place = device.place if "place" in has or not known else known[2]
        heartbeat = device.heartbeat_seconds if "heartbeat_seconds" in has or not known else known[3]
        if not known or (device.kind, place, heartbeat) != known[1:4]:
            writes.devices.append((device.id, elder_id, device.kind, place, heartbeat))
            imported.devices += 1
    return faults


def _inserted(sql: str, rows: Sequence[tuple[Any, ...]]) -> list[Statement]:
    """One statement for all rows: the columns as arrays."""
    return [(sql, [list(column) for column in zip(*rows, strict=True)])] if rows else []
