"""Signals over HTTP: `POST /signals` and `POST /signals/{adapter}`, signed. Answered after the commit, never before.

The sender's contract is docs/device-protocol.md.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from starlette.requests import ClientDisconnect

from alarm_core.signal import Intake, Receipt, Taken
from ingest import metrics
from ingest.adapters import Unreadable
from ingest.adapters.fields import MAX_PAYLOAD
from ingest.message import Message, understand
from ingest.problem import MEDIA_TYPE, problem
from ingest.signature import fault_of
from ingest.storing import Unstorable, is_away, take_one

log = logging.getLogger("careline.ingest")

SecretsFor = Callable[[str | None], Awaitable[Sequence[bytes]]]
"""The secrets that may sign for an adapter (None: the plain JSON); empty if nobody may."""

_STATUS_OF = {
    "not_json": HTTPStatus.BAD_REQUEST,
    "too_large": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "unknown_adapter": HTTPStatus.NOT_FOUND,
    "adapter_failed": HTTPStatus.INTERNAL_SERVER_ERROR,
}


def signals_router(intake: Intake, secret_for: SecretsFor, clock: Callable[[], datetime]) -> APIRouter:
    """The two routes, to be included under `/api/v1`.

    202: committed (`{"signal": "accepted", "alarm": id or null}`, or "quarantined" with its reason, or "ignored").
    200: the same id again, same alarm. 4xx: a problem document; the payload lies in the quarantine, except where
    the signature does not hold (401) or the body is larger than 1 MiB and 64 KiB (413). 503: the database is away;
    nothing was stored, send it again.
    """
    router = APIRouter(tags=["signals"])

    @router.post("/signals", status_code=202, response_class=JSONResponse, **_documented(plain=True))
    async def push_signal(request: Request) -> Response:
        """A signal in Careline's own JSON."""
        return await _push(request, None)

    @router.post("/signals/{adapter}", status_code=202, response_class=JSONResponse, **_documented(plain=False))
    async def push_through_adapter(request: Request, adapter: str) -> Response:
        """A maker's or a platform's push."""
        return await _push(request, adapter)

    async def _push(request: Request, adapter: str | None) -> Response:
        try:
            body = await _body(request)
        except ClientDisconnect:
            return Response(status_code=HTTPStatus.BAD_REQUEST)  # nobody reads it
        if body is None:
            return problem(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large", f"a signal has at most {MAX_PAYLOAD} bytes"
            )
        try:
            fault = fault_of(
                request.headers.get("X-Careline-Timestamp"),
                request.headers.get("X-Careline-Signature"),
                body,
                await secret_for(adapter),
                clock(),
            )
            if fault is not None:
                metrics.UNSIGNED.inc()
                return problem(
                    HTTPStatus.UNAUTHORIZED, "signature", fault, headers={"WWW-Authenticate": "Careline-HMAC-SHA256"}
                )
            message = understand(
                body,
                adapter=adapter or "plain",
                device_id=None,
                source="http" if adapter is None else f"http:{adapter[:40]}",
                topic=request.url.path,
                received_at=clock(),
            )
            metrics.RECEIVED.labels("http").inc()
            receipts = await take_one(intake, message)
        except Exception as error:
            if not isinstance(error, Unstorable) and not is_away(error):
                raise
            log.warning("a push could not be stored, its sender is told to repeat it: %s", type(error).__name__)
            return problem(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "database_away",
                "nothing was stored; send the same signal again",
                headers={"Retry-After": "5"},
            )
        metrics.count_receipts(message, receipts)
        return _answer(message, receipts)

    return router


async def _body(request: Request) -> bytes | None:
    """The body, or None when it is too large; never more than the limit is held."""
    declared = request.headers.get("Content-Length", "")
    if declared.isascii() and declared.isdigit() and len(declared) < 20 and int(declared) > MAX_PAYLOAD:
        return None
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_PAYLOAD:
            return None
    return bytes(body)


def _answer(message: Message, receipts: Sequence[Receipt]) -> Response:
    if message.unreadable is not None:
        return _unreadable(message.unreadable)
    if not receipts:
        return JSONResponse({"signal": "ignored", "alarm": None}, status_code=HTTPStatus.ACCEPTED)
    answers = [_one(receipt) for receipt in receipts]
    # The most telling one speaks for the push: one that has an alarm, else one that was accepted.
    first = max(answers, key=lambda answer: (answer["alarm"] is not None, answer["signal"] == "accepted"))
    repeated = all(receipt.taken is Taken.DUPLICATE for receipt in receipts)
    document: dict[str, object] = dict(first)
    if len(answers) > 1:
        document["signals"] = answers
    return JSONResponse(document, status_code=HTTPStatus.OK if repeated else HTTPStatus.ACCEPTED)


def _one(receipt: Receipt) -> dict[str, str | None]:
    answer = {"signal": receipt.taken.value, "alarm": str(receipt.alarm_id) if receipt.alarm_id else None}
    if receipt.reason is not None:
        answer["reason"] = receipt.reason
    return answer


def _unreadable(unreadable: Unreadable) -> Response:
    status = _STATUS_OF.get(unreadable.reason, HTTPStatus.UNPROCESSABLE_ENTITY)
    errors = [{"field": unreadable.field, "detail": unreadable.detail}] if unreadable.field else []
    return problem(status, unreadable.reason, unreadable.detail, errors=errors)


def _documented(*, plain: bool) -> dict[str, Any]:
    """What OpenAPI says of a route that reads its body as bytes (the signature is over the bytes)."""
    header = {"in": "header", "required": True, "schema": {"type": "string"}}
    schema: dict[str, Any] = {"type": "object"}
    if plain:
        schema = {
            "type": "object",
            "required": ["device_id", "id", "kind", "state"],
            "properties": {
                "device_id": {"type": "string", "maxLength": 128},
                "id": {"type": "string", "maxLength": 128, "description": "the same id is the same signal"},
                "kind": {"type": "string", "example": "smoke"},
                "state": {"enum": ["alarm", "clear", "heartbeat", "fault"]},
                "at": {"type": "string", "format": "date-time"},
                "value": {},
                "battery": {"type": "number", "minimum": 0, "maximum": 1},
            },
        }
    problems = {"content": {MEDIA_TYPE: {"schema": {"type": "object"}}}}
    return {
        "responses": {
            200: {"description": "the same id again: nothing changed"},
            202: {"description": "committed"},
            400: {"description": "not JSON", **problems},
            401: {"description": "the signature does not hold", **problems},
            404: {"description": "no such adapter", **problems},
            413: {"description": "too large", **problems},
            422: {"description": "a field is wrong", **problems},
            503: {"description": "the database is away; send it again", **problems},
        },
        "openapi_extra": {
            "parameters": [
                {"name": "X-Careline-Timestamp", **header},
                {"name": "X-Careline-Signature", **header},
            ],
            "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}},
        },
    }
