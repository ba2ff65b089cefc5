"""The record of calls, and messages in quarantine."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, HTTPException, Path, Query, Request, Response

from alarm_core.documents import CallDocument, RejectedDocument, RejectedMessage
from alarm_core.people import Short
from service.api.access import Staff, Viewer
from service.api.context import Uses
from service.api.errors import documented
from service.api.paging import DEFAULT_LIMIT, Limit, link_next

router = APIRouter(tags=["records"], responses=documented(401, 403, 422))

_MAX_ID = 2**63 - 1


@router.get("/calls")
async def list_calls(
    request: Request,
    response: Response,
    services: Uses,
    account: Viewer,
    alarm: UUID | None = None,
    live: Annotated[bool | None, Query(description="only calls that last, or only those that are over")] = None,
    before: Annotated[UUID | None, Query(description="the last call of the page before")] = None,
    limit: Limit = DEFAULT_LIMIT,
) -> list[CallDocument]:
    """Calls, the latest first."""
    found = await services.documents.calls(alarm_id=alarm, live=live, limit=limit, before=before)
    link_next(request, response, found, limit, before=found[-1].id if found else "")
    return found


@router.get("/rejected-signals")
async def list_rejected(
    request: Request,
    response: Response,
    services: Uses,
    account: Staff,
    reason: Annotated[Short | None, Query()] = None,
    device: Annotated[str | None, Query(max_length=512, pattern=r"^[^\x00]*$")] = None,
    before: Annotated[int | None, Query(ge=1, le=_MAX_ID, description="the last message of the page before")] = None,
    limit: Limit = DEFAULT_LIMIT,
) -> list[RejectedDocument]:
    """Messages that could not be taken as they are, the latest first."""
    found = await services.documents.rejected(reason=reason, device_id=device, limit=limit, before=before)
    link_next(request, response, found, limit, before=found[-1].id if found else "")
    return found


@router.get("/rejected-signals/{message_id}", responses=documented(404))
async def read_rejected(
    services: Uses, account: Staff, message_id: Annotated[int, Path(ge=1, le=_MAX_ID)]
) -> RejectedMessage:
    """One message with its whole payload."""
    found = await services.documents.rejected_message(message_id)
    if found is None:
        raise HTTPException(404, "no message of this id is in quarantine")
    return found
