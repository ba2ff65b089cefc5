"""Around every request: its id, a line in the log, a limit on its body, and an answer to errors nobody foresaw."""

from __future__ import annotations

import logging
import time
import traceback
from uuid import uuid4

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ingest.adapters.fields import MAX_PAYLOAD
from service.api.errors import problem_of

log = logging.getLogger("careline.api")

MAX_BODY = 64 * 1024
_SIGNALS = "/api/v1/signals"
_HEADERS = [(b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff")]


class Frame:
    """The outermost layer of the API.

    The log names the route, never the address as it was called: that holds names that were searched for. A traceback
    is told by its places alone: its text can quote a row.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = uuid4().hex[:16]
        started = time.monotonic()
        status: int | None = None

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                own = [(b"x-request-id", request_id.encode()), *_HEADERS]
                message = {**message, "headers": [*message.get("headers", []), *own]}
            await send(message)

        try:
            await self._app(scope, _limited(scope, receive), answer)
        except ClientDisconnect:
            pass  # nobody waits for an answer
        except Exception as error:  # the last place where it can be answered and told without quoting
            log.error("%s %s failed: %s", request_id, _route(scope), _told(error))  # noqa: TRY400 (see above)
            if status is None:
                await problem_of(error)(scope, receive, answer)
        finally:
            spent = (time.monotonic() - started) * 1000
            log.info("%s %s %s %s %.0f ms", request_id, scope["method"], _route(scope), status, spent)


def _limited(scope: Scope, receive: Receive) -> Receive:
    """Pass the body on until it is too long; then 413, wherever it is being read."""
    limit = MAX_PAYLOAD if scope["path"].startswith(_SIGNALS) else MAX_BODY
    had = 0

    async def counted() -> Message:
        nonlocal had
        message = await receive()
        had += len(message.get("body", b""))
        if had > limit:
            raise HTTPException(413, f"the body has at most {limit} bytes here")
        return message

    return counted


def _route(scope: Scope) -> str:
    return getattr(scope.get("route"), "path", "(no route)")


def _told(error: BaseException) -> str:
    places = [
        f"{frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)
    ]
    return f"{type(error).__name__} at {' > '.join(places[-6:])}"
