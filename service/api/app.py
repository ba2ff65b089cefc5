"""The FastAPI application: routes, errors, limits, and the OpenAPI document."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.openapi.utils import get_openapi

from service.api import alarms, devices, elders, health, login, metrics, records, signals
from service.api.access import Viewer
from service.api.context import ApiContext, services_of
from service.api.errors import SCHEMA, add_problems
from service.api.middleware import Frame

PREFIX = "/api/v1"
_DESCRIPTION = (
    "Alarms, calls, elders, contacts and devices. Log in with `POST /login`; every address but `/health` and `/ready` "
    "needs a token or, for signals, a signature. Errors are problem documents (RFC 9457), times ISO 8601 with an "
    "offset, lists arrays whose next page the `Link` header names."
)


def create_app(context: ApiContext) -> FastAPI:
    """The API as an ASGI application; everything is under `/api/v1`."""
    # The pages that FastAPI would serve beside the API load scripts from elsewhere: the document itself is enough.
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    app.state.services = services_of(context)
    add_problems(app)
    api = APIRouter(prefix=PREFIX)
    for part in (health, login, alarms, records, elders, devices, metrics):
        api.include_router(part.router)
    api.include_router(signals.router_of(app.state.services))
    api.add_api_route("/openapi.json", _document, include_in_schema=False)
    app.include_router(api)
    app.add_middleware(Frame)
    return app


async def _document(request: Request, _: Viewer) -> dict[str, Any]:
    return openapi_of(request.app)


def openapi_of(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document; made at the first call."""
    if app.openapi_schema is None:
        document = get_openapi(title="Careline", version="1", description=_DESCRIPTION, routes=app.routes)
        document["components"]["schemas"]["Problem"] = SCHEMA
        # FastAPI's own shape of validation errors; ours are problem documents.
        for unused in ("HTTPValidationError", "ValidationError"):
            document["components"]["schemas"].pop(unused, None)
        app.openapi_schema = document
    return app.openapi_schema
