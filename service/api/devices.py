"""Devices and the secrets that sign their pushes."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel

from alarm_core.people import Device, DeviceFields, DeviceId, NewDevice
from service.api.access import Admin, Staff, Supervisor
from service.api.context import Uses
from service.api.errors import documented
from service.api.paging import DEFAULT_LIMIT, Limit, link_next

router = APIRouter(tags=["devices"], responses=documented(401, 403, 422))

Id = Annotated[DeviceId, Path()]


class DeviceEntry(DeviceFields):
    elder_id: UUID


class Secret(BaseModel):
    """The key of the HMAC, as text. It is shown once."""

    secret: str


@router.get("/devices")
async def list_devices(
    request: Request,
    response: Response,
    services: Uses,
    account: Staff,
    elder: UUID | None = None,
    silent: Annotated[bool | None, Query(description="only devices whose heartbeat is missing, or only others")] = None,
    after: Annotated[DeviceId | None, Query(description="the last device of the page before")] = None,
    limit: Limit = DEFAULT_LIMIT,
) -> list[Device]:
    """Devices in the order of their ids, with the state that is known of them."""
    found = await services.people.devices(elder_id=elder, silent=silent, after=after, limit=limit)
    link_next(request, response, found, limit, after=found[-1].id if found else "")
    return found


@router.post("/devices", status_code=201, responses=documented(400, 409, 413))
async def add_device(services: Uses, account: Supervisor, fields: NewDevice) -> Device:
    """Register a device with its elder."""
    return await services.people.add_device(fields)


@router.get("/devices/{device_id}", responses=documented(404))
async def read_device(services: Uses, account: Staff, device_id: Id) -> Device:
    """One device."""
    return await services.people.device(device_id)


@router.put("/devices/{device_id}", responses=documented(400, 404, 409, 413))
async def change_device(services: Uses, account: Supervisor, device_id: Id, entry: DeviceEntry) -> Device:
    """Replace a device's entry, or move it to another elder."""
    fields = DeviceFields.model_validate(entry.model_dump(exclude={"elder_id"}))
    return await services.people.change_device(device_id, entry.elder_id, fields)


@router.delete("/devices/{device_id}", status_code=204, responses=documented(404))
async def remove_device(services: Uses, account: Supervisor, device_id: Id) -> None:
    """Remove a device: its signals are then those of an unknown device."""
    await services.people.remove_device(device_id)


@router.post("/devices/{device_id}/secret", status_code=201, responses=documented(404))
async def new_secret(services: Uses, account: Admin, device_id: Id) -> Secret:
    """Give the device a new secret of its own. The common secret then no longer signs for it over `POST /signals`."""
    return Secret(secret=await services.people.new_secret(device_id))


@router.delete("/devices/{device_id}/secret", status_code=204, responses=documented(404))
async def remove_secret(services: Uses, account: Admin, device_id: Id) -> None:
    """The device signs with the service's common secret again."""
    await services.people.remove_secret(device_id)
