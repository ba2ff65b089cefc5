"""Whatever is sent, the API answers for it: no 5xx, and every refusal is a problem document."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alarm_core.store.accounts import Role
from tests.live.api_world import Api

pytest_plugins = ["tests.live.api_fixtures"]

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
ENTRY = st.dictionaries(
    st.sampled_from(
        [
            "reference",
            "name",
            "risk",
            "phones",
            "plan",
            "note",
            "kind",
            "id",
            "elder_id",
            "number",
            "action",
            "relation",
        ]
    ),
    ANYTHING
    | st.sampled_from(["high", "smoke", "take", "13800000011", "\x00", "\ud800", 1e308, float("inf"), float("nan")]),
    max_size=8,
)
PATHS = [
    "/elders",
    "/elders/{}",
    "/elders/{}/contacts",
    "/contacts/{}",
    "/devices",
    "/devices/{}",
    "/devices/{}/secret",
    "/alarms",
    "/alarms/{}",
    "/alarms/{}/entries",
    "/calls",
    "/rejected-signals",
    "/rejected-signals/{}",
    "/login",
    "/signals",
    "/signals/{}",
    "/metrics",
    "/ready",
]
QUERY = st.dictionaries(
    st.sampled_from(["search", "after", "before", "limit", "state", "kind", "elder", "reason", "device", "live"]),
    st.text(max_size=12) | st.integers().map(str) | st.just("\x00"),
    max_size=3,
)
REQUEST = st.tuples(
    st.sampled_from(["GET", "POST", "PUT", "DELETE"]),
    st.sampled_from(PATHS),
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
    | st.sampled_from(["smoke-1", "00000000-0000-0000-0000-000000000000", "%00", "..", "9" * 30]),
    QUERY,
    st.one_of(ENTRY, ANYTHING),
)


def _body(value: Any) -> bytes:
    """JSON as Python writes it, with all that other writers would not: NaN, lone surrogates."""
    import json

    return json.dumps(value).encode()


async def test_nothing_that_is_sent_breaks_it(api: Api) -> None:
    client = await api.as_(Role.ADMIN)
    await api.world.raises()
    loop = asyncio.get_running_loop()

    async def ask(method: str, path: str, part: str, query: dict[str, str], body: Any) -> httpx.Response:
        from urllib.parse import quote

        return await client.request(
            method,
            path.format(quote(part, safe="")),
            params=query,
            content=None if method in ("GET", "DELETE") else _body(body),
            headers={"Content-Type": "application/json"},
        )

    @settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
    @given(REQUEST)
    def holds(request: tuple[str, str, str, dict[str, str], Any]) -> None:
        answer = asyncio.run_coroutine_threadsafe(ask(*request), loop).result(20)
        assert answer.status_code < 500, answer.text
        if answer.status_code >= 400:
            assert answer.headers["content-type"] == "application/problem+json"

    await asyncio.to_thread(holds)
