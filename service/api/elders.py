"""Elders and their contacts."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from alarm_core.people import MAX_CONTACTS, Contact, ContactFields, Elder, ElderFields, Name, Risk, Short
from service.api.access import Staff, Supervisor
from service.api.context import Uses
from service.api.errors import documented
from service.api.paging import DEFAULT_LIMIT, Limit, link_next

router = APIRouter(tags=["elders"], responses=documented(401, 403, 422))


class Order(BaseModel):
    """Every contact of the elder, in the order in which they are to be called."""

    model_config = ConfigDict(extra="forbid")

    contacts: Annotated[list[UUID], Field(max_length=MAX_CONTACTS)]


@router.get("/elders")
async def list_elders(
    request: Request,
    response: Response,
    services: Uses,
    account: Staff,
    search: Annotated[Short, Query(description="part of a name, or a whole reference or phone number")] = "",
    risk: Risk | None = None,
    after: Annotated[Name | None, Query(description="the reference of the last elder of the page before")] = None,
    limit: Limit = DEFAULT_LIMIT,
) -> list[Elder]:
    """Elders in the order of their reference."""
    found = await services.people.elders(search=search, risk=risk, after=after, limit=limit)
    link_next(request, response, found, limit, after=found[-1].reference if found else "")
    return found


@router.post("/elders", status_code=201, responses=documented(400, 409, 413))
async def add_elder(services: Uses, account: Supervisor, fields: ElderFields) -> Elder:
    """Enter an elder. Emergency numbers (110, 119, 120 …) are refused: no machine calls them."""
    return await services.people.add_elder(fields)


@router.get("/elders/{elder_id}", responses=documented(404))
async def read_elder(services: Uses, account: Staff, elder_id: UUID) -> Elder:
    """One elder."""
    return await services.people.elder(elder_id)


@router.put("/elders/{elder_id}", responses=documented(400, 404, 409, 413))
async def change_elder(services: Uses, account: Supervisor, elder_id: UUID, fields: ElderFields) -> Elder:
    """Replace an elder's entry as a whole. Open alarms keep what they knew when they opened."""
    return await services.people.change_elder(elder_id, fields)


@router.delete("/elders/{elder_id}", status_code=204, responses=documented(404, 409))
async def remove_elder(services: Uses, account: Supervisor, elder_id: UUID) -> None:
    """Remove an elder with contacts and devices. One who has alarms in the record stays (409)."""
    await services.people.remove_elder(elder_id)


@router.get("/elders/{elder_id}/contacts", responses=documented(404))
async def list_contacts(services: Uses, account: Staff, elder_id: UUID) -> list[Contact]:
    """An elder's contacts in the order in which they are called."""
    return await services.people.contacts(elder_id)


@router.post("/elders/{elder_id}/contacts", status_code=201, responses=documented(400, 404, 409, 413))
async def add_contact(services: Uses, account: Supervisor, elder_id: UUID, fields: ContactFields) -> Contact:
    """Add a contact behind the others."""
    return await services.people.add_contact(elder_id, fields)


@router.put("/elders/{elder_id}/contacts", responses=documented(400, 404, 409, 413))
async def order_contacts(services: Uses, account: Supervisor, elder_id: UUID, order: Order) -> list[Contact]:
    """Set the order in which the contacts are called."""
    return await services.people.order_contacts(elder_id, order.contacts)


@router.get("/contacts/{contact_id}", responses=documented(404))
async def read_contact(services: Uses, account: Staff, contact_id: UUID) -> Contact:
    """One contact."""
    return await services.people.contact(contact_id)


@router.put("/contacts/{contact_id}", responses=documented(400, 404, 413))
async def change_contact(services: Uses, account: Supervisor, contact_id: UUID, fields: ContactFields) -> Contact:
    """Replace a contact's entry; the place in the order stays."""
    return await services.people.change_contact(contact_id, fields)


@router.delete("/contacts/{contact_id}", status_code=204, responses=documented(404))
async def remove_contact(services: Uses, account: Supervisor, contact_id: UUID) -> None:
    """Remove a contact."""
    await services.people.remove_contact(contact_id)
