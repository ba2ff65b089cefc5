"""Elders, contacts and devices in Postgres: entered, read, changed, removed."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from alarm_core.numbers import NumberError, dialable
from alarm_core.people import (
    MAX_CONTACTS,
    Contact,
    ContactFields,
    Device,
    DeviceFields,
    Elder,
    ElderFields,
    NewDevice,
    address_of,
    check_plan,
)
from alarm_core.planbook import PlanBook
from alarm_core.store.database import Database
from alarm_core.store.importing import Imported, ImportRow, import_elders
from alarm_core.store.tables import alarm, contact, device, elder, elder_phone

_ELDER_COLUMNS = [name for name in ElderFields.model_fields if name != "phones"]


class UnknownRecordError(LookupError):
    """Nothing has this id; the text says what was looked for."""


class ConflictError(ValueError):
    """What is asked does not fit what is stored; the text says why and what to do."""


class People:
    """The people's records. Raises UnknownRecordError, ConflictError and PlanError."""

    def __init__(self, database: Database, plans: PlanBook) -> None:
        self._database = database
        self._plans = plans

    # Elders

    async def elders(
        self, *, search: str = "", risk: str | None = None, after: str | None = None, limit: int = 50
    ) -> list[Elder]:
        """Elders in the order of their reference, from the one after `after` on.

        `search`: a part of the name, or a whole reference or phone number.
        """
        query = sa.select(elder).order_by(elder.c.reference).limit(limit)
        if after is not None:
            query = query.where(elder.c.reference > after)
        if risk is not None:
            query = query.where(elder.c.risk == risk)
        if search:
            owns_number = sa.select(elder_phone.c.elder_id).where(elder_phone.c.number == _as_number(search))
            query = query.where(
                elder.c.name.contains(search, autoescape=True)
                | (elder.c.reference == search)
                | elder.c.id.in_(owns_number)
            )
        async with self._database.engine.connect() as connection:
            return await _read_elders(connection, query)

    async def elder(self, elder_id: UUID) -> Elder:
        async with self._database.engine.connect() as connection:
            return await _one_elder(connection, elder_id)

    async def add_elder(self, fields: ElderFields) -> Elder:
        check_plan(self._plans, fields)
        elder_id = uuid4()
        async with self._writing() as connection:
            await connection.execute(elder.insert().values(id=elder_id, **_elder_values(fields)))
            await _write_phones(connection, elder_id, fields.phones)
            return await _one_elder(connection, elder_id)

    async def change_elder(self, elder_id: UUID, fields: ElderFields) -> Elder:
        """Replace the whole entry. Alarms that are open keep what they knew when they opened."""
        check_plan(self._plans, fields)
        async with self._writing() as connection:
            change = (
                elder.update().where(elder.c.id == elder_id).values(**_elder_values(fields), updated_at=sa.func.now())
            )
            if (await connection.execute(change)).rowcount == 0:
                raise UnknownRecordError(f"no elder {elder_id}")
            await _write_phones(connection, elder_id, fields.phones)
            return await _one_elder(connection, elder_id)

    async def remove_elder(self, elder_id: UUID) -> None:
        """Remove an elder with contacts and devices; one who has alarms in the record stays."""
        async with self._writing() as connection:
            known = sa.select(alarm.c.id).where(alarm.c.elder_id == elder_id).limit(1)
            if (await connection.execute(known)).first() is not None:
                raise ConflictError(_HAS_ALARMS)
            if (await connection.execute(elder.delete().where(elder.c.id == elder_id))).rowcount == 0:
                raise UnknownRecordError(f"no elder {elder_id}")

    async def import_elders(self, rows: Sequence[ImportRow]) -> Imported:
        """Write the rows of a file (`elders_csv.read_elders`): all, or none. Raises ImportFileError."""
        return await import_elders(self._database, self._plans, rows)

    # Contacts

    async def contacts(self, elder_id: UUID) -> list[Contact]:
        """An elder's contacts in the order in which they are called."""
        async with self._database.engine.connect() as connection:
            await _one_elder(connection, elder_id)
            return await _read_contacts(connection, elder_id)

    async def contact(self, contact_id: UUID) -> Contact:
        async with self._database.engine.connect() as connection:
            return await _one_contact(connection, contact_id)

    async def add_contact(self, elder_id: UUID, fields: ContactFields) -> Contact:
        """Add a contact behind the others; `order_contacts` gives another place."""
        async with self._writing() as connection:
            await _lock_elder(connection, elder_id)
            known = await _read_contacts(connection, elder_id)
            if len(known) >= MAX_CONTACTS:
                raise ConflictError(f"an elder has at most {MAX_CONTACTS} contacts: remove one first")
            contact_id = uuid4()
            position = known[-1].position + 1 if known else 1
            values = {"id": contact_id, "elder_id": elder_id, "position": position, **fields.model_dump()}
            await connection.execute(contact.insert().values(values))
            return await _one_contact(connection, contact_id)

    async def change_contact(self, contact_id: UUID, fields: ContactFields) -> Contact:
        async with self._writing() as connection:
            change = contact.update().where(contact.c.id == contact_id).values(**fields.model_dump())
            await connection.execute(change)
            return await _one_contact(connection, contact_id)

    async def remove_contact(self, contact_id: UUID) -> None:
        async with self._writing() as connection:
            gone = await _one_contact(connection, contact_id)
            await _lock_elder(connection, gone.elder_id)
            await connection.execute(contact.delete().where(contact.c.id == contact_id))
            rest = await _read_contacts(connection, gone.elder_id)
            await _number(connection, [one.id for one in rest])

    async def order_contacts(self, elder_id: UUID, ids: Sequence[UUID]) -> list[Contact]:
        """Call the contacts in this order from now on; `ids` names each of them once."""
        async with self._writing() as connection:
            await _lock_elder(connection, elder_id)
            known = {one.id for one in await _read_contacts(connection, elder_id)}
            if len(ids) != len(set(ids)) or set(ids) != known:
                raise ConflictError("the new order must name every contact of this elder once: read them again")
            await _number(connection, ids)
            return await _read_contacts(connection, elder_id)

    # Devices

    async def devices(
        self,
        *,
        elder_id: UUID | None = None,
        silent: bool | None = None,
        after: str | None = None,
        limit: int = 50,
    ) -> list[Device]:
        """Devices in the order of their ids, from the one after `after` on."""
        query = sa.select(device).order_by(device.c.id).limit(limit)
        if elder_id is not None:
            query = query.where(device.c.elder_id == elder_id)
        if silent is not None:
            query = query.where(device.c.silent == silent)
        if after is not None:
            query = query.where(device.c.id > after)
        async with self._database.engine.connect() as connection:
            return [_device(row) for row in (await connection.execute(query)).mappings()]

    async def device(self, device_id: str) -> Device:
        async with self._database.engine.connect() as connection:
            return await _one_device(connection, device_id)

    async def add_device(self, fields: NewDevice) -> Device:
        async with self._writing() as connection:
            await connection.execute(device.insert().values(**fields.model_dump()))
            return await _one_device(connection, fields.id)

    async def change_device(self, device_id: str, elder_id: UUID, fields: DeviceFields) -> Device:
        """Replace what was entered, and move the device to this elder."""
        async with self._writing() as connection:
            change = device.update().where(device.c.id == device_id).values(elder_id=elder_id, **fields.model_dump())
            await connection.execute(change)
            return await _one_device(connection, device_id)

    async def remove_device(self, device_id: str) -> None:
        async with self._writing() as connection:
            if (await connection.execute(device.delete().where(device.c.id == device_id))).rowcount == 0:
                raise UnknownRecordError("no such device")

    async def new_secret(self, device_id: str) -> str:
        """Give the device a new secret of its own; only its answer ever shows it. The old one ends at once."""
        secret = secrets.token_hex(24)
        await self._write_secret(device_id, secret)
        return secret

    async def remove_secret(self, device_id: str) -> None:
        """The device signs with the service's common secret again."""
        await self._write_secret(device_id, None)

    async def secret(self, device_id: str) -> str | None:
        """The device's own secret; None when it has none, or is not known."""
        async with self._database.transaction() as tx:
            rows = await tx.all("SELECT secret FROM device WHERE id = %s", (device_id,))
        return rows[0][0] if rows else None

    async def _write_secret(self, device_id: str, secret: str | None) -> None:
        async with self._writing() as connection:
            change = device.update().where(device.c.id == device_id).values(secret=secret)
            if (await connection.execute(change)).rowcount == 0:
                raise UnknownRecordError("no such device")

    @asynccontextmanager
    async def _writing(self) -> AsyncIterator[AsyncConnection]:
        """One transaction; what its constraints refuse is told in words."""
        try:
            async with self._database.engine.begin() as connection:
                yield connection
        except IntegrityError as error:
            name = getattr(getattr(error.orig, "diag", None), "constraint_name", None)
            if name in _CONFLICTS:
                raise ConflictError(_CONFLICTS[name]) from None  # the cause quotes the row
            raise


_HAS_ALARMS = "this elder has alarms in the record and cannot be removed"
_CONFLICTS = {
    "uq_elder_reference": "another elder has this reference already",
    "pk_device": "another device has this id already",
    "fk_device_elder_id": "there is no elder of this elder_id",
    "fk_alarm_elder_id": _HAS_ALARMS,
}


def _as_number(text: str) -> str:
    try:
        return dialable(text)
    except NumberError:
        return text


def _elder_values(fields: ElderFields) -> dict[str, Any]:
    return fields.model_dump(include=set(_ELDER_COLUMNS))


async def _write_phones(connection: AsyncConnection, elder_id: UUID, numbers: Sequence[str]) -> None:
    await connection.execute(elder_phone.delete().where(elder_phone.c.elder_id == elder_id))
    if numbers:
        rows = [{"elder_id": elder_id, "position": n, "number": number} for n, number in enumerate(numbers, 1)]
        await connection.execute(elder_phone.insert(), rows)


async def _read_elders(connection: AsyncConnection, query: sa.Select[Any]) -> list[Elder]:
    rows = [dict(row) for row in (await connection.execute(query)).mappings()]
    phones: dict[UUID, list[str]] = {row["id"]: [] for row in rows}
    own = sa.select(elder_phone).where(elder_phone.c.elder_id.in_(phones)).order_by(elder_phone.c.position)
    for phone in (await connection.execute(own)).mappings():
        phones[phone["elder_id"]].append(phone["number"])
    # Not validated again: what is stored was, and stays readable if the rules for entries grow stricter.
    return [Elder.model_construct(**row, phones=phones[row["id"]], address=address_of(row)) for row in rows]


async def _one_elder(connection: AsyncConnection, elder_id: UUID) -> Elder:
    found = await _read_elders(connection, sa.select(elder).where(elder.c.id == elder_id))
    if not found:
        raise UnknownRecordError(f"no elder {elder_id}")
    return found[0]


async def _lock_elder(connection: AsyncConnection, elder_id: UUID) -> None:
    """Changes of one elder's contacts take turns."""
    lock = sa.select(elder.c.id).where(elder.c.id == elder_id).with_for_update(key_share=True)
    if (await connection.execute(lock)).first() is None:
        raise UnknownRecordError(f"no elder {elder_id}")


async def _read_contacts(connection: AsyncConnection, elder_id: UUID) -> list[Contact]:
    query = sa.select(contact).where(contact.c.elder_id == elder_id).order_by(contact.c.position, contact.c.id)
    return [Contact.model_construct(**row) for row in (await connection.execute(query)).mappings()]


async def _one_contact(connection: AsyncConnection, contact_id: UUID) -> Contact:
    row = (await connection.execute(sa.select(contact).where(contact.c.id == contact_id))).mappings().first()
    if row is None:
        raise UnknownRecordError(f"no contact {contact_id}")
    return Contact.model_construct(**row)


async def _number(connection: AsyncConnection, ids: Sequence[UUID]) -> None:
    """Give the contacts the positions 1, 2, 3 …"""
    for position, contact_id in enumerate(ids, 1):
        await connection.execute(contact.update().where(contact.c.id == contact_id).values(position=position))


async def _one_device(connection: AsyncConnection, device_id: str) -> Device:
    row = (await connection.execute(sa.select(device).where(device.c.id == device_id))).mappings().first()
    if row is None:
        raise UnknownRecordError("no such device")
    return _device(row)


def _device(row: Any) -> Device:
    fields = {name: row[name] for name in Device.model_fields if name != "own_secret"}
    return Device.model_construct(**fields, own_secret=row["secret"] is not None)
