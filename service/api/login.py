"""Logging in: name and password give a token for twelve hours."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from alarm_core.store.accounts import MAX_PASSWORD, Role
from service.api.access import TOKEN_LIFE, logged_in, new_token
from service.api.context import Uses
from service.api.errors import documented

router = APIRouter(tags=["login"])


class Login(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=64)]
    password: Annotated[str, Field(min_length=1, max_length=MAX_PASSWORD)]


class Token(BaseModel):
    """Send `access_token` in the header `Authorization: Bearer …`. `expires_in`: seconds."""

    access_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105 (a word of RFC 6750, no secret)
    expires_in: int
    role: Role


@router.post("/login", responses=documented(400, 401, 413, 422, 429))
async def login(request: Request, services: Uses, body: Login) -> Token:
    """Exchange name and password for a token."""
    account = await logged_in(services, request, body.name, body.password)
    return Token(
        access_token=new_token(services.context, account),
        expires_in=int(TOKEN_LIFE.total_seconds()),
        role=account.role,
    )
