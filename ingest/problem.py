"""Problem documents (RFC 9457)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus

from fastapi.responses import JSONResponse

MEDIA_TYPE = "application/problem+json"


def problem(
    status: HTTPStatus,
    code: str,
    detail: str,
    *,
    errors: Sequence[Mapping[str, str]] = (),
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """A problem document. `code` is the short name of the problem: its type is `urn:careline:problem:<code>`.

    `errors`: one `{"field": …, "detail": …}` for each wrong field.
    """
    body: dict[str, object] = {
        "type": f"urn:careline:problem:{code}",
        "title": status.phrase,
        "status": status.value,
        "detail": detail,
    }
    if errors:
        body["errors"] = [dict(error) for error in errors]
    return JSONResponse(body, status_code=status.value, media_type=MEDIA_TYPE, headers=dict(headers or {}))
