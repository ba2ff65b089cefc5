"""Is the process alive, and does every part that it needs work?"""

from __future__ import annotations

import asyncio
import logging
from typing import Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel

from service.api.access import Credentials, has_token
from service.api.context import Check, Services, Uses

log = logging.getLogger("careline.api")

router = APIRouter(tags=["health"])

CHECK_SECONDS = 3.0


class Health(BaseModel):
    status: Literal["alive"] = "alive"


class Part(BaseModel):
    state: Literal["ok", "down"]
    detail: str = ""


class Readiness(BaseModel):
    """`parts`: only for who is logged in."""

    ready: bool
    parts: dict[str, Part] | None = None


@router.get("/health")
async def health() -> Health:
    """The process answers. Open to everybody."""
    return Health()


@router.get("/ready", responses={503: {"model": Readiness, "description": "a part does not work"}})
async def ready(response: Response, services: Uses, credentials: Credentials) -> Readiness:
    """Whether every part works (503 if not). Open to everybody; which part it is, is told with a token only."""
    checks: dict[str, Check] = {"database": _database(services), **services.context.checks}
    parts = dict(zip(checks, await asyncio.gather(*map(_looked, checks.items())), strict=True))
    fine = all(part.state == "ok" for part in parts.values())
    if not fine:
        response.status_code = 503
    return Readiness(ready=fine, parts=parts if has_token(services.context, credentials) else None)


def _database(services: Services) -> Check:
    async def check() -> str | None:
        await services.context.database.now()
        return None

    return check


async def _looked(named: tuple[str, Check]) -> Part:
    name, check = named
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            wrong = await check()
    except TimeoutError:
        wrong = f"no answer within {CHECK_SECONDS:g} s"
    except Exception as error:  # whatever it is, this part does not work; its text may hold an address
        log.warning("the check of %s failed: %s", name, type(error).__name__)
        wrong = type(error).__name__
    return Part(state="ok") if wrong is None else Part(state="down", detail=wrong)
