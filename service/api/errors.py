"""Every error as a problem document (RFC 9457), without a word of what was sent."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from alarm_core.planbook import PlanError
from alarm_core.store.alarms import UnknownAlarmError
from alarm_core.store.people import ConflictError, UnknownRecordError
from ingest.problem import MEDIA_TYPE, problem
from ingest.storing import is_away

_CODES = {
    400: "bad_request",
    401: "no_login",
    403: "not_allowed",
    404: "not_found",
    405: "method_not_allowed",
    409: "conflict",
    413: "too_large",
    422: "bad_field",
    429: "too_many_tries",
}
_DETAILS = {"Not Found": "there is nothing at this address", "Method Not Allowed": "this address takes other methods"}

SCHEMA: dict[str, Any] = {
    "type": "object",
    "title": "Problem",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "format": "uri", "example": "urn:careline:problem:not_found"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"field": {"type": "string"}, "detail": {"type": "string"}},
            },
        },
    },
}


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What OpenAPI says of a route's problems."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": _CODES[status].replace("_", " "), "content": content} for status in statuses}


def add_problems(app: FastAPI) -> None:
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    for kind, status in (
        (UnknownRecordError, 404),
        (UnknownAlarmError, 404),
        (ConflictError, 409),
    ):
        app.add_exception_handler(kind, _told(HTTPStatus(status)))
    app.add_exception_handler(PlanError, _bad_plan)


def problem_of(error: Exception) -> Response:
    """The answer to an error that no route foresaw."""
    if is_away(error):
        return problem(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "database_away",
            "the database is away: nothing was changed, try again",
            headers={"Retry-After": "5"},
        )
    return problem(
        HTTPStatus.INTERNAL_SERVER_ERROR, "our_fault", "a mistake of ours: it is in the log with this request's id"
    )


def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    detail = _DETAILS.get(error.detail, error.detail)
    return problem(status, _CODES.get(status, status.phrase.lower().replace(" ", "_")), detail, headers=error.headers)


def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    found = error.errors()
    if any(one["type"] == "json_invalid" for one in found):
        return problem(HTTPStatus.BAD_REQUEST, "not_json", "the body is not JSON")
    # Without the input: it may be a password or a phone number, and it may be long.
    errors = [
        {"field": _field(one["loc"]), "detail": str(one["msg"]).removeprefix("Value error, ")} for one in found[:50]
    ]
    first = errors[0]
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, "bad_field", f"{first['field']}: {first['detail']}", errors=errors)


def _field(loc: tuple[Any, ...]) -> str:
    """Where the fault is, without the part of the request that holds it. A key of the sender's own is cut."""
    return ".".join(str(part)[:64] for part in (loc[1:] or loc))


def _told(status: HTTPStatus) -> Any:
    def answer(request: Request, error: Exception) -> Response:
        return problem(status, _CODES[status], str(error))

    return answer


def _bad_plan(request: Request, error: Exception) -> Response:
    detail = str(error)
    return problem(
        HTTPStatus.UNPROCESSABLE_ENTITY, "bad_field", f"plan: {detail}", errors=[{"field": "plan", "detail": detail}]
    )
