"""Nothing is open but health: tokens, roles, and what becomes of those who guess."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import jwt
import pytest

from alarm_core.store.accounts import AccountError, Accounts, Role
from service.api import access
from service.api.app import openapi_of
from tests.live.api_world import METRICS_TOKEN, PASSWORD, Api

pytest_plugins = ["tests.live.api_fixtures"]

OPEN = {("get", "/api/v1/health"), ("get", "/api/v1/ready"), ("post", "/api/v1/login")}
SIGNED = {("post", "/api/v1/signals"), ("post", "/api/v1/signals/{adapter}")}
NEEDS = {
    ("get", "/api/v1/alarms"): Role.VIEWER,
    ("get", "/api/v1/alarms/{alarm_id}"): Role.VIEWER,
    ("get", "/api/v1/calls"): Role.VIEWER,
    ("get", "/api/v1/metrics"): Role.VIEWER,
    ("post", "/api/v1/devices/{device_id}/secret"): Role.ADMIN,
    ("delete", "/api/v1/devices/{device_id}/secret"): Role.ADMIN,
    ("post", "/api/v1/alarms/{alarm_id}/entries"): Role.STAFF,
}
"""Other routes: reading needs staff, writing needs a supervisor."""
BODIES: dict[str, Any] = {
    "/api/v1/elders": {"reference": "X", "name": "X"},
    "/api/v1/elders/{elder_id}": {"reference": "X", "name": "X"},
    "/api/v1/contacts/{contact_id}": {"name": "X"},
    "/api/v1/alarms/{alarm_id}/entries": {"action": "take"},
}


def _routes(api: Api) -> Iterator[tuple[str, str]]:
    for path, methods in openapi_of(api.app)["paths"].items():
        for method in methods:
            yield method, path


async def _ask(client: httpx.AsyncClient, method: str, path: str) -> httpx.Response:
    address = re.sub(r"\{\w+\}", str(uuid4()), path.removeprefix("/api/v1"))
    body = BODIES.get(path, {}) if method in ("post", "put") else None
    return await client.request(method.upper(), address, json=body)


async def test_every_route_but_health_asks_for_a_token(api: Api) -> None:
    routes = set(_routes(api))
    assert OPEN | SIGNED | set(NEEDS) <= routes
    for method, path in [*sorted(routes - OPEN), ("get", "/api/v1/openapi.json")]:
        answer = await _ask(api.stranger, method, path)
        assert answer.status_code == 401, f"{method} {path}: {answer.status_code}"
        assert answer.headers["content-type"] == "application/problem+json"
        assert "www-authenticate" in answer.headers


async def test_every_route_refuses_the_role_below_the_one_it_needs(api: Api) -> None:
    clients = {role: await api.as_(role) for role in Role}
    roles = list(Role)
    for method, path in sorted(set(_routes(api)) - OPEN - SIGNED):
        needed = NEEDS.get((method, path), Role.STAFF if method == "get" else Role.SUPERVISOR)
        below = roles[roles.index(needed) + 1 :]
        if below:
            refused = await _ask(clients[below[0]], method, path)
            assert refused.status_code == 403, f"{method} {path} as {below[0]}: {refused.status_code}"
        enough = await _ask(clients[needed], method, path)
        assert enough.status_code not in (401, 403), f"{method} {path} as {needed}: {enough.status_code}"


async def test_health_and_readiness_are_open_and_tell_strangers_nothing_more(api: Api) -> None:
    async def broken() -> str | None:
        raise ConnectionError("broker at 10.0.0.7 refused")

    assert (await api.stranger.get("/health")).json() == {"status": "alive"}
    assert (await api.stranger.get("/ready")).json() == {"ready": True, "parts": None}
    api.world.checks["mqtt"] = broken

    answer = await api.stranger.get("/ready")
    assert (answer.status_code, answer.json()) == (503, {"ready": False, "parts": None})
    answer = await (await api.as_(Role.VIEWER)).get("/ready")
    assert answer.json()["parts"] == {
        "database": {"state": "ok", "detail": ""},
        "mqtt": {"state": "down", "detail": "ConnectionError"},
    }


async def test_a_forged_an_expired_and_a_foreign_token_open_nothing(api: Api) -> None:
    await api.as_(Role.ADMIN)
    account = await Accounts(api.world.database).get("admin")
    assert account is not None
    now = datetime.now(UTC)
    good = {"sub": "admin", "aud": "careline-api", "stamp": account.stamp, "exp": now + timedelta(hours=1)}
    secret = api.services.context.token_secret

    async def status(claims: dict[str, Any], key: str, algorithm: str = "HS256") -> int:
        token = jwt.encode(claims, key, algorithm=algorithm)
        return (await api.stranger.get("/alarms", headers={"Authorization": f"Bearer {token}"})).status_code

    assert await status(good, secret) == 200
    assert await status(good, "x" * 48) == 401
    assert await status(good, "", "none") == 401
    assert await status({**good, "exp": now - timedelta(seconds=1)}, secret) == 401
    assert await status({**good, "aud": "another-service"}, secret) == 401
    assert await status({k: v for k, v in good.items() if k != "exp"}, secret) == 401
    assert await status({**good, "sub": "nobody"}, secret) == 401


async def test_a_token_ends_with_the_password_the_role_or_the_account_behind_it(api: Api) -> None:
    accounts = Accounts(api.world.database)
    client = await api.as_(Role.STAFF)
    assert (await client.get("/elders")).status_code == 200

    await accounts.change("staff", role=Role.VIEWER)
    assert (await client.get("/elders")).status_code == 403
    await accounts.change("staff", role=Role.STAFF, active=False)
    assert (await client.get("/elders")).status_code == 401
    await accounts.change("staff", active=True)
    assert (await client.get("/elders")).status_code == 200
    await accounts.change("staff", password="another long password")
    assert (await client.get("/elders")).status_code == 401


async def test_who_guesses_is_slowed_down_and_then_shut_out(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "FAILURE_SECONDS", 0.0)
    await Accounts(api.world.database).add("anna", PASSWORD, Role.VIEWER)

    async def status(name: str, password: str) -> int:
        return (await api.stranger.post("/login", json={"name": name, "password": password})).status_code

    assert [await status("anna", f"guess {n}") for n in range(6)] == [401] * 5 + [429]
    assert await status("anna", PASSWORD) == 429
    assert await status("nobody", PASSWORD) == 401


async def test_an_unknown_name_takes_as_long_as_a_wrong_password(api: Api) -> None:
    accounts = Accounts(api.world.database)
    await accounts.add("anna", PASSWORD, Role.VIEWER)
    await accounts.login("anna", PASSWORD)

    async def seconds(name: str) -> float:
        began = datetime.now(UTC)
        assert await accounts.login(name, "a wrong password") is None
        return (datetime.now(UTC) - began).total_seconds()

    await seconds("nobody")
    known = [await seconds("anna") for _ in range(5)]
    unknown = [await seconds("nobody") for _ in range(5)]
    assert min(unknown) > min(known) / 3


async def test_accounts_have_long_passwords_and_plain_names(api: Api) -> None:
    accounts = Accounts(api.world.database)
    await accounts.add("anna", PASSWORD, Role.VIEWER)

    for name, password in (("anna", PASSWORD), ("bob", "short"), ("bo b", PASSWORD), ("", PASSWORD)):
        with pytest.raises(AccountError):
            await accounts.add(name, password, Role.VIEWER)
    assert PASSWORD not in str(await accounts.all())


async def test_figures_need_a_token_or_the_one_that_is_only_for_them(api: Api) -> None:
    await api.world.raises()

    header = {"Authorization": f"Bearer {METRICS_TOKEN}"}
    answer = await api.stranger.get("/metrics", headers=header)

    assert answer.status_code == 200
    assert 'careline_alarms_opened_total{kind="smoke"} 1.0' in answer.text
    assert 'careline_alarms{kind="smoke",phase="verifying"} 1.0' in answer.text
    assert "careline_calls_waiting 1.0" in answer.text
    assert "careline_ingest_received" in answer.text
    assert (await api.stranger.get("/alarms", headers=header)).status_code == 401
