"""The push of signals (`ingest.http`), with the secret that the sender must have signed with."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from contextvars import ContextVar

from fastapi import APIRouter, Depends, Request

from ingest.adapters.fields import read_name, read_object
from ingest.adapters.unreadable import Unreadable
from ingest.http import signals_router
from service.api.context import Services

# The device that the body of the request at hand names: `ingest.http` asks for secrets by adapter alone. A request is
# one task, and this is set in it before the route runs.
_named: ContextVar[str | None] = ContextVar("named_device", default=None)


def router_of(services: Services) -> APIRouter:
    """The routes of `ingest.http`. A device with a secret of its own signs with that one, and no other counts for it;
    the rest, and the platforms behind adapters, sign with the common secret."""
    context = services.context
    common = [context.ingest_secret.encode()] if context.ingest_secret else []

    async def secrets_for(adapter: str | None) -> Sequence[bytes]:
        device_id = _named.get()
        own = await services.people.secret(device_id) if adapter is None and device_id is not None else None
        return common if own is None else [own.encode()]

    router = APIRouter()
    router.include_router(signals_router(context.intake, secrets_for, context.clock), dependencies=[Depends(_look)])
    return router


async def _look(request: Request) -> None:
    """Read the device's id by the very reader that the signal will be read with: the two cannot differ."""
    _named.set(None)
    body = await request.body()
    # Otherwise nobody's device: it goes to the quarantine if the common secret signed it.
    with contextlib.suppress(Unreadable):
        _named.set(read_name(read_object(body).get("device_id"), "device_id"))
