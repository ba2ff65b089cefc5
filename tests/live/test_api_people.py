"""Elders, contacts and devices over HTTP: what is refused is refused in words, by field."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import httpx
import pytest

from alarm_core.store.accounts import Role
from tests.live.api_world import Api

pytest_plugins = ["tests.live.api_fixtures"]

PROBLEM = "application/problem+json"


def _faults(answer: httpx.Response) -> dict[str, str]:
    assert answer.status_code == 422
    assert answer.headers["content-type"] == PROBLEM
    return {error["field"]: error["detail"] for error in answer.json()["errors"]}


async def test_an_elder_with_contacts_and_a_device_is_entered_read_and_removed(api: Api) -> None:
    client = await api.as_(Role.SUPERVISOR)

    elder = (
        await client.post("/elders", json={"reference": "B-1", "name": "王建国", "phones": ["13800000011"]})
    ).json()
    one = (await client.post(f"/elders/{elder['id']}/contacts", json={"name": "王芳", "number": "13800000012"})).json()
    two = (await client.post(f"/elders/{elder['id']}/contacts", json={"name": "陈强"})).json()
    device = {"id": "gas 表:9", "elder_id": elder["id"], "kind": "gas", "heartbeat_seconds": 3600}
    assert (await client.post("/devices", json=device)).status_code == 201

    order = await client.put(f"/elders/{elder['id']}/contacts", json={"contacts": [two["id"], one["id"]]})
    assert [contact["name"] for contact in order.json()] == ["陈强", "王芳"]
    read = (await client.get("/devices/gas%20%E8%A1%A8%3A9")).json()
    assert (read["own_secret"], read["silent"], read["last_seen_at"]) == (False, False, None)
    changed = await client.put(f"/contacts/{two['id']}", json={"name": "陈强", "relation": "邻居"})
    assert changed.json()["relation"] == "邻居"

    assert (await client.delete(f"/elders/{elder['id']}")).status_code == 204
    for gone in (f"/elders/{elder['id']}", f"/contacts/{one['id']}", "/devices/gas%20%E8%A1%A8%3A9"):
        assert (await client.get(gone)).status_code == 404


@pytest.mark.parametrize("number", ["110", "119", "120", "+86 110", "021-119", "9120"])
async def test_an_emergency_number_is_refused_wherever_it_is_entered(api: Api, number: str) -> None:
    client = await api.as_(Role.SUPERVISOR)
    elder = (await client.get("/elders")).json()[0]

    in_elder = await client.post("/elders", json={"reference": "B-1", "name": "王", "phones": ["13800000011", number]})
    in_contact = await client.post(f"/elders/{elder['id']}/contacts", json={"name": "王", "number": number})

    assert "never called by a machine" in _faults(in_elder)["phones.1"]
    assert "never called by a machine" in _faults(in_contact)["number"]
    assert number not in in_elder.text.replace("110, 119, 120", "")


async def test_every_wrong_field_is_named_and_nothing_sent_is_repeated(api: Api) -> None:
    client = await api.as_(Role.SUPERVISOR)
    entry: dict[str, Any] = {
        "name": " ",
        "risk": "extreme",
        "phones": ["secret-words"],
        "room": "1\n2",
        "colour": "red",
    }

    answer = await client.post("/elders", json=entry)

    assert set(_faults(answer)) == {"reference", "name", "risk", "phones.0", "room", "colour"}
    assert "secret-words" not in answer.text


async def test_an_elders_plan_that_cannot_work_is_refused_with_its_field(api: Api) -> None:
    client = await api.as_(Role.SUPERVISOR)

    answer = await client.post(
        "/elders", json={"reference": "B-1", "name": "王", "plan": {"smoke": {"contacts": {"round": 3}}}}
    )

    assert "contacts.round" in _faults(answer)["plan"]


async def test_an_elder_with_alarms_is_not_removed(api: Api) -> None:
    await api.world.raises()
    client = await api.as_(Role.SUPERVISOR)
    elder = (await client.get("/elders")).json()[0]

    answer = await client.delete(f"/elders/{elder['id']}")

    assert (answer.status_code, answer.headers["content-type"]) == (409, PROBLEM)
    assert "alarms in the record" in answer.json()["detail"]


async def test_unknown_ids_addresses_and_methods_are_problem_documents(api: Api) -> None:
    client = await api.as_(Role.SUPERVISOR)

    for method, path, status in (
        ("GET", f"/elders/{uuid4()}", 404),
        ("GET", f"/elders/{uuid4()}/contacts", 404),
        ("PUT", f"/contacts/{uuid4()}", 404),
        ("DELETE", "/devices/nothing", 404),
        ("GET", "/rejected-signals/1", 404),
        ("GET", "/nowhere", 404),
        ("PATCH", "/elders", 405),
        ("GET", "/elders/not-an-id", 422),
        ("GET", "/elders?limit=100000", 422),
    ):
        body = {"name": "王"} if method == "PUT" else None
        answer = await client.request(method, path, json=body)
        assert (answer.status_code, answer.headers["content-type"]) == (status, PROBLEM), path
        assert answer.json()["status"] == status
    broken = await client.post("/elders", content=b"{", headers={"Content-Type": "application/json"})
    assert (broken.status_code, broken.json()["type"]) == (400, "urn:careline:problem:not_json")


async def test_a_body_that_is_too_long_is_not_read_to_its_end(api: Api) -> None:
    client = await api.as_(Role.SUPERVISOR)
    sent = 0

    async def endless() -> Any:
        nonlocal sent
        for _ in range(1000):
            sent += 10_000
            yield b" " * 10_000

    answer = await client.post("/elders", content=endless(), headers={"Content-Type": "application/json"})

    assert (answer.status_code, answer.headers["content-type"]) == (413, PROBLEM)
    assert sent < 200_000


async def test_the_next_page_of_elders_is_named(api: Api) -> None:
    client = await api.as_(Role.SUPERVISOR)
    for number in range(4):
        await client.post("/elders", json={"reference": f"编号 & {number}", "name": "王"})

    first = await client.get("/elders", params={"limit": 3})
    second = await client.get(first.links["next"]["url"].removeprefix("/api/v1"))

    assert [e["reference"] for e in first.json() + second.json()] == ["A-1", *(f"编号 & {n}" for n in range(4))]
    assert "next" not in second.links
