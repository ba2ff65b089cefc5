"""`/metrics`: figures of the whole service, and of this process from its own counters."""

from __future__ import annotations

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest

from alarm_core.store.accounts import Role
from service.api.access import Credentials, account_of, is_metrics_token, require
from service.api.context import Uses
from service.api.errors import documented

router = APIRouter(tags=["metrics"], responses=documented(401, 403))


@router.get("/metrics", response_class=Response)
async def metrics(services: Uses, credentials: Credentials) -> Response:
    """Prometheus' text format. With the token of an account, or with the fixed metrics token."""
    if not is_metrics_token(services.context, credentials):
        require(await account_of(services, credentials), Role.VIEWER)
    text = await services.figures.text(services.context.database)
    return Response(text + generate_latest(REGISTRY), media_type=CONTENT_TYPE_LATEST)
