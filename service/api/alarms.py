"""Alarms with their events and calls, and what the service's own people enter about them."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID, uuid4

from fastapi import APIRouter, Header, HTTPException, Query, Request, Response
from pydantic import BaseModel, ConfigDict, model_validator

from alarm_core.alarm import Phase
from alarm_core.documents import AlarmDocument
from alarm_core.events import StaffEntry
from alarm_core.people import Kind, Note, Short
from alarm_core.store.documents import State
from alarm_core.store.record import Happening
from service.api.access import Staff, Viewer
from service.api.context import Uses
from service.api.errors import documented
from service.api.paging import DEFAULT_LIMIT, Limit, link_next

router = APIRouter(tags=["alarms"], responses=documented(401, 403, 422))

_FOR_OPEN_ONES = ("take", "arrived", "resolve", "withdraw", "call_again")


class Entry(BaseModel):
    """What a person did or decided: take (has it), arrived (help is there), resolve, withdraw (no danger after all),
    close (after the follow-up), call_again (the contacts), note."""

    model_config = ConfigDict(extra="forbid")

    action: Literal["take", "arrived", "resolve", "withdraw", "close", "call_again", "note"]
    note: Note = ""

    @model_validator(mode="after")
    def _says_something(self) -> Entry:
        if self.action == "note" and not self.note:
            raise ValueError("an entry of action 'note' needs a note")
        return self


@router.get("/alarms")
async def list_alarms(
    request: Request,
    response: Response,
    services: Uses,
    account: Viewer,
    state: State = "all",
    kind: Annotated[Kind | None, Query()] = None,
    elder: UUID | None = None,
    before: Annotated[UUID | None, Query(description="the last alarm of the page before")] = None,
    limit: Limit = DEFAULT_LIMIT,
) -> list[AlarmDocument]:
    """Alarms, the latest first, with their events and calls."""
    found = await services.documents.alarms(state=state, kind=kind, elder=elder, limit=limit, before=before)
    link_next(request, response, found, limit, before=found[-1].id if found else "")
    return found


@router.get("/alarms/{alarm_id}", responses=documented(404))
async def read_alarm(services: Uses, account: Viewer, alarm_id: UUID) -> AlarmDocument:
    """One alarm with its events and calls."""
    return await services.documents.alarm(alarm_id)


@router.post("/alarms/{alarm_id}/entries", status_code=201, responses=documented(400, 404, 409, 413))
async def add_entry(
    response: Response,
    services: Uses,
    account: Staff,
    alarm_id: UUID,
    entry: Entry,
    idempotency_key: Annotated[Short | None, Header(description="the same key again changes nothing")] = None,
) -> AlarmDocument:
    """Enter what was done or decided; the alarm goes on by its rules. Returns the alarm after it."""
    key = f"staff:{account.name}:{idempotency_key or uuid4()}"
    if idempotency_key and await services.documents.has_event(alarm_id, key):
        response.status_code = 200
        return await services.documents.alarm(alarm_id)
    alarm = await services.context.alarms.load(alarm_id)
    if not alarm.open and entry.action in _FOR_OPEN_ONES:
        raise HTTPException(409, f"the alarm has ended already ({alarm.phase}): only a note or its closing can follow")
    if entry.action == "close" and (alarm.open or alarm.phase is Phase.CLOSED):
        why = "is closed already" if alarm.phase is Phase.CLOSED else "is open: resolve or withdraw it first"
        raise HTTPException(409, f"the alarm {why}")
    event = StaffEntry(action=entry.action, by=account.name, note=entry.note)
    await services.context.alarms.apply(alarm_id, Happening(event, f"staff:{account.name}", key))
    return await services.documents.alarm(alarm_id)
