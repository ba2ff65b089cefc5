"""Signals over HTTP, through the whole API into a real database."""

from __future__ import annotations

import json
import time
from typing import Any
from uuid import uuid4

import httpx
import pytest

from alarm_core.store.accounts import Role
from ingest.signature import sign
from tests.live.api_world import COMMON_SECRET, Api

pytest_plugins = ["tests.live.api_fixtures"]


async def _push(api: Api, secret: str, adapter: str = "", **fields: Any) -> httpx.Response:
    signal = {"device_id": "smoke-1", "id": uuid4().hex, "kind": "smoke", "state": "alarm", **fields}
    return await _push_bytes(api, secret, json.dumps(signal).encode(), adapter)


async def _push_bytes(api: Api, secret: str, body: bytes, adapter: str = "") -> httpx.Response:
    stamp = str(int(time.time()))
    headers = {"X-Careline-Timestamp": stamp, "X-Careline-Signature": sign(secret.encode(), stamp, body)}
    return await api.stranger.post(f"/signals{adapter}", content=body, headers=headers)


async def test_a_signed_signal_opens_an_alarm_and_again_is_the_same(api: Api) -> None:
    first = await _push(api, COMMON_SECRET, id="m-1")
    again = await _push(api, COMMON_SECRET, id="m-1")

    assert (first.status_code, first.json()["signal"]) == (202, "accepted")
    assert (again.status_code, again.json()) == (200, {"signal": "duplicate", "alarm": first.json()["alarm"]})
    alarms = (await (await api.as_(Role.VIEWER)).get("/alarms")).json()
    assert [alarm["id"] for alarm in alarms] == [first.json()["alarm"]]


async def test_a_device_with_a_secret_of_its_own_signs_with_that_one_only(api: Api) -> None:
    own = (await (await api.as_(Role.ADMIN)).post("/devices/smoke-1/secret")).json()["secret"]

    assert (await _push(api, COMMON_SECRET)).status_code == 401
    assert (await _push(api, own)).status_code == 202
    # It signs for nobody else.
    assert (await _push(api, own, device_id="smoke-2")).status_code == 401
    assert (await _push(api, own, device_id=["smoke-1"])).status_code == 401
    twice = b'{"device_id":"smoke-1","device_id":"smoke-2","id":"1","kind":"smoke","state":"alarm"}'
    assert (await _push_bytes(api, own, twice)).status_code == 401

    await (await api.as_(Role.ADMIN)).delete("/devices/smoke-1/secret")
    assert (await _push(api, own)).status_code == 401
    assert (await _push(api, COMMON_SECRET)).status_code == 202


async def test_requests_side_by_side_do_not_take_each_others_device(api: Api) -> None:
    import asyncio

    own = await api.world.people.new_secret("smoke-1")

    pairs = [("smoke-1", own), ("other-1", COMMON_SECRET), ("smoke-1", COMMON_SECRET), ("other-1", own)] * 5
    answers = await asyncio.gather(
        *(_push(api, secret, device_id=device, state="heartbeat") for device, secret in pairs)
    )

    assert [answer.status_code for answer in answers] == [202, 202, 401, 401] * 5


@pytest.mark.parametrize("body", [b"", b"\xff\x00", b"[]", b"x" * 300_000, b'{"id": "\\ud800"}'])
async def test_what_cannot_be_read_is_kept_and_told(api: Api, body: bytes) -> None:
    answer = await _push_bytes(api, COMMON_SECRET, body)

    assert answer.status_code in (400, 422)
    assert answer.headers["content-type"] == "application/problem+json"
    (kept,) = (await (await api.as_(Role.STAFF)).get("/rejected-signals")).json()
    assert kept["size"] == len(body)


async def test_a_megabyte_is_taken_and_more_is_not(api: Api) -> None:
    fits = await _push_bytes(api, COMMON_SECRET, b" " * 1024 * 1024 + b"x")
    too_large = await _push_bytes(api, COMMON_SECRET, b" " * 1_200_000)

    assert (fits.status_code, too_large.status_code) == (400, 413)


async def test_an_adapters_push_is_signed_with_the_common_secret(api: Api) -> None:
    assert (await _push(api, COMMON_SECRET, "/plain")).status_code == 202
    assert (await _push(api, "wrong", "/plain")).status_code == 401
    assert (await _push(api, COMMON_SECRET, "/no-such-maker")).status_code == 404
