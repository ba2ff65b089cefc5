"""Who may do what: tokens and roles."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Annotated

import jwt
from fastapi import Depends, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from alarm_core.store.accounts import Account, Role
from service.api.context import ApiContext, Services, Uses

TOKEN_LIFE = timedelta(hours=12)
_ALGORITHM = "HS256"
_AUDIENCE = "careline-api"

_bearer = HTTPBearer(auto_error=False, description="the token that `POST /login` gives")
Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]


def new_token(context: ApiContext, account: Account) -> str:
    """A token for this account; it holds no longer than the account's password and at most TOKEN_LIFE."""
    now = context.clock()
    claims = {"sub": account.name, "aud": _AUDIENCE, "iat": now, "exp": now + TOKEN_LIFE, "stamp": account.stamp}
    return jwt.encode(claims, context.token_secret, algorithm=_ALGORITHM)


def _claims(context: ApiContext, token: str) -> dict[str, object] | None:
    try:
        claims: dict[str, object] = jwt.decode(
            token,
            context.token_secret,
            algorithms=[_ALGORITHM],
            audience=_AUDIENCE,
            options={"require": ["exp", "sub", "aud"]},
        )
    except (jwt.InvalidTokenError, ValueError):
        return None
    return claims


def has_token(context: ApiContext, credentials: HTTPAuthorizationCredentials | None) -> bool:
    """Whether the caller carries a token of ours. The account is not looked up: the database may be away."""
    return credentials is not None and _claims(context, credentials.credentials) is not None


def is_metrics_token(context: ApiContext, credentials: HTTPAuthorizationCredentials | None) -> bool:
    if credentials is None or not context.metrics_token:
        return False
    return hmac.compare_digest(credentials.credentials.encode(), context.metrics_token.encode())


async def account_of(services: Services, credentials: HTTPAuthorizationCredentials | None) -> Account:
    """The account that the token names, as it stands now: a role taken away or a new password counts at once."""
    claims = None if credentials is None else _claims(services.context, credentials.credentials)
    account = None if claims is None else await services.accounts.get(str(claims["sub"]))
    if claims is None or account is None or claims.get("stamp") != account.stamp:
        raise HTTPException(
            401,
            "log in: POST /api/v1/login gives a token for the header 'Authorization: Bearer …'",
            headers={"WWW-Authenticate": "Bearer"},
        )
    return account


def require(account: Account, needed: Role) -> None:
    if not account.role.covers(needed):
        raise HTTPException(403, f"this needs the role '{needed}'; the account has '{account.role}'")


def _needs(needed: Role) -> Callable[..., Awaitable[Account]]:
    async def account(services: Uses, credentials: Credentials) -> Account:
        found = await account_of(services, credentials)
        require(found, needed)
        return found

    return account


Viewer = Annotated[Account, Depends(_needs(Role.VIEWER))]
Staff = Annotated[Account, Depends(_needs(Role.STAFF))]
Supervisor = Annotated[Account, Depends(_needs(Role.SUPERVISOR))]
Admin = Annotated[Account, Depends(_needs(Role.ADMIN))]


FAILURE_SECONDS = 0.5


async def logged_in(services: Services, request: Request, name: str, password: str) -> Account:
    """The account, or 401 after a pause, or 429 for who has failed too often."""
    throttle = services.throttle
    address = request.client.host if request.client else ""
    wait = throttle.wait_seconds(name, address)
    if wait:
        raise HTTPException(429, f"too many failures: try again in {wait} s", headers={"Retry-After": str(wait)})
    # Counted before the password is looked at: tries sent side by side count as well as one after another.
    throttle.failed(name, address)
    account = await services.accounts.login(name, password)
    if account is None:
        await asyncio.sleep(FAILURE_SECONDS)
        raise HTTPException(401, "name and password do not belong together", headers={"WWW-Authenticate": "Bearer"})
    throttle.succeeded(name, address)
    return account
