"""Whatever is sent, the API answers for it: no 5xx, and every refusal is a problem document."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alarm_core.store.accounts import Role
from service.api.app import openapi_of
from tests.live.api_world import Api

pytest_plugins = ["tests.live.api_fixtures"]

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
HOSTILE = st.sampled_from(
    ["", "\x00", "\ud800", "\u202e", "x" * 3000, 1e308, float("inf"), float("nan"), 10**30, -1, [], {}, [["x"]], "110"]
)
BODIES: dict[str, dict[str, Any]] = {
    "/elders": {
        "reference": "",
        "name": "王",
        "risk": "low",
        "phones": ["13800000011"],
        "note": "",
        "plan": {"smoke": {"verify": {"calls": 1}}},
    },
    "/contacts": {"name": "王", "relation": "邻居", "number": "13800000012"},
    "/devices": {"id": "", "elder_id": "", "kind": "gas", "place": "", "heartbeat_seconds": 3600},
    "/entries": {"action": "note", "note": "seen"},
    "/login": {"name": "anna", "password": "a long password"},
    "/signals": {"device_id": "smoke-1", "id": "1", "kind": "smoke", "state": "alarm"},
}
QUERY = st.dictionaries(
    st.sampled_from(["search", "after", "before", "limit", "state", "kind", "elder", "reason", "device", "live"]),
    st.text(max_size=12) | st.integers().map(str) | st.sampled_from(["\x00", "all", "true", "smoke", str(uuid4())]),
    max_size=2,
)


async def test_nothing_that_is_sent_breaks_it(api: Api) -> None:
    client = await api.as_(Role.ADMIN)
    alarm_id = await api.world.raises()
    (elder,) = await api.world.people.elders()
    (contact, _) = await api.world.people.contacts(elder.id)
    loop = asyncio.get_running_loop()
    answers: Counter[int] = Counter()
    routes = [
        (method, path.removeprefix("/api/v1"))
        for path, methods in openapi_of(api.app)["paths"].items()
        for method in methods
    ]
    known = {
        "elder_id": str(elder.id),
        "contact_id": str(contact.id),
        "alarm_id": str(alarm_id),
        "device_id": "smoke-1",
    }
    other = st.sampled_from([str(uuid4()), "%", "..", "9" * 30, "\x00", "1"]) | st.text(
        st.characters(codec="utf-8"), min_size=1, max_size=12
    )

    @settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def holds(data: st.DataObject) -> None:
        method, path = data.draw(st.sampled_from(routes))
        for name in ("elder_id", "contact_id", "alarm_id", "device_id", "message_id", "adapter"):
            part = data.draw(other) if name in path and data.draw(st.integers(0, 2)) == 0 else known.get(name, "plain")
            path = path.replace("{" + name + "}", quote(part, safe=""))
        body = dict(next((body for end, body in BODIES.items() if end in path), {}))
        body |= {name: value for name, value in (("reference", uuid4().hex), ("id", uuid4().hex)) if name in body}
        body |= {"elder_id": str(elder.id)} if "elder_id" in body else {}
        wrong = data.draw(st.booleans()) if body else False
        changed = data.draw(st.lists(st.sampled_from(sorted(body)), max_size=2)) if wrong else []
        body |= {name: data.draw(HOSTILE | ANYTHING) for name in changed}
        sent: Any = data.draw(st.sampled_from([body] * 9 + [None, [body], "text"]))
        asked = client.request(
            method.upper(),
            path,
            params=data.draw(QUERY) if method == "get" else None,
            # As Python writes JSON: with NaN and lone surrogates, which other writers would refuse.
            content=None if method in ("get", "delete") else json.dumps(sent).encode(),
            headers={"Content-Type": "application/json"},
        )
        answer = asyncio.run_coroutine_threadsafe(asked, loop).result(20)
        answers[answer.status_code] += 1
        assert answer.status_code < 500, answer.text
        if answer.status_code >= 400:
            assert answer.headers["content-type"] == "application/problem+json"

    await asyncio.to_thread(holds)

    # It got behind the door: things were read, made and removed, and not only refused.
    assert {200, 201, 404, 422} <= set(answers), answers
