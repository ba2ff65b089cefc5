"""A push over HTTP: signed, answered after the commit, and every refusal says why."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg
import pytest
import sqlalchemy.exc
from fastapi import FastAPI

from alarm_core.signal import Incoming, Receipt, Taken
from ingest.adapters.fields import MAX_PAYLOAD
from ingest.http import signals_router
from ingest.memory import MemoryIntake
from ingest.signature import WINDOW

NOW = datetime(2026, 11, 22, tzinfo=UTC)
SECRET = b"correct horse"
OLD_SECRET = b"until tomorrow"
SIGNAL = {"device_id": "smoke-1", "id": "1", "kind": "smoke", "state": "alarm", "at": "2026-11-22T08:00:00+08:00"}


def signed(body: bytes, *, secret: bytes = SECRET, at: datetime = NOW, timestamp: str | None = None) -> dict[str, str]:
    """The headers, made as the document tells a sender to make them, not by our own function."""
    timestamp = timestamp or str(int(at.timestamp()))
    mac = hmac.new(secret, timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    return {"X-Careline-Timestamp": timestamp, "X-Careline-Signature": f"sha256={mac}"}


class Server:
    def __init__(self, intake: MemoryIntake, client: httpx.AsyncClient) -> None:
        self.intake = intake
        self._client = client

    async def push(self, document: object, path: str = "", headers: dict[str, str] | None = None) -> httpx.Response:
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        return await self._client.post(
            "/api/v1/signals" + path, content=body, headers=signed(body) if headers is None else headers
        )


async def secret_for(adapter: str | None) -> Sequence[bytes]:
    return [] if adapter == "closed" else [OLD_SECRET, SECRET]


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    intake = MemoryIntake()
    app = FastAPI()
    app.include_router(signals_router(intake, secret_for, lambda: NOW), prefix="/api/v1")
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield Server(intake, client)


def is_problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    document: dict[str, Any] = answer.json()
    assert document["status"] == status
    assert document["type"] == f"urn:careline:problem:{code}"
    assert document["title"]
    assert document["detail"]
    return document


async def test_an_alarm_is_accepted_and_the_same_id_again_is_the_same_alarm(server: Server) -> None:
    first, again = await server.push(SIGNAL), await server.push(SIGNAL)
    assert (first.status_code, again.status_code) == (202, 200)
    assert first.json()["signal"] == "accepted"
    assert first.json()["alarm"] == again.json()["alarm"] is not None
    assert len(server.intake.signals) == 1


async def test_a_heartbeat_has_no_alarm(server: Server) -> None:
    answer = await server.push(SIGNAL | {"state": "heartbeat"})
    assert (answer.status_code, answer.json()) == (202, {"signal": "accepted", "alarm": None})


@pytest.mark.parametrize("secret", [SECRET, OLD_SECRET])
async def test_either_secret_signs_while_one_replaces_the_other(server: Server, secret: bytes) -> None:
    body = json.dumps(SIGNAL).encode()
    assert (await server.push(body, headers=signed(body, secret=secret))).status_code == 202


async def test_a_timestamp_in_iso_8601_signs_too(server: Server) -> None:
    body = json.dumps(SIGNAL).encode()
    headers = signed(body, timestamp="2026-11-22T08:01:00+08:00")
    assert (await server.push(body, headers=headers)).status_code == 202


@pytest.mark.parametrize(
    "change",
    [
        {"X-Careline-Signature": "sha256=" + "0" * 64},
        {"X-Careline-Signature": "0" * 64},
        {"X-Careline-Signature": "md5=abc"},
        {"X-Careline-Signature": ""},
        {"X-Careline-Timestamp": "nan"},
        {"X-Careline-Timestamp": "soon"},
        {"X-Careline-Timestamp": "2026-11-22T00:00:00"},
        {"X-Careline-Timestamp": str(int(NOW.timestamp()) + 1)},
        signed(json.dumps(SIGNAL).encode(), secret=b"guess"),
        signed(json.dumps(SIGNAL).encode(), secret=b""),
        signed(b"another body"),
        signed(json.dumps(SIGNAL).encode(), at=NOW + timedelta(seconds=WINDOW + 1)),
        signed(json.dumps(SIGNAL).encode(), at=NOW - timedelta(seconds=WINDOW + 1)),
    ],
)
async def test_a_signature_that_does_not_hold_is_refused_and_nothing_is_kept(
    server: Server, change: dict[str, str]
) -> None:
    body = json.dumps(SIGNAL).encode()
    is_problem(await server.push(body, headers=signed(body) | change), 401, "signature")
    is_problem(await server.push(body, headers={}), 401, "signature")
    assert not server.intake.batches


async def test_the_edge_of_the_time_window_is_inside(server: Server) -> None:
    body = json.dumps(SIGNAL).encode()
    assert (await server.push(body, headers=signed(body, at=NOW - timedelta(seconds=WINDOW)))).status_code == 202


async def test_nobody_may_sign_for_an_adapter_without_a_secret(server: Server) -> None:
    is_problem(await server.push(SIGNAL, "/closed"), 401, "signature")


@pytest.mark.parametrize(
    ("document", "status", "code", "field"),
    [
        (b"not json", 400, "not_json", None),
        (b"\x00\xff binary", 400, "not_json", None),
        ([SIGNAL], 400, "not_json", None),
        (SIGNAL | {"state": "burning"}, 422, "bad_field", "state"),
        (SIGNAL | {"battery": 7}, 422, "bad_field", "battery"),
        ({"id": "1", "kind": "smoke", "state": "alarm"}, 422, "bad_field", "device_id"),
    ],
)
async def test_bad_input_gets_a_problem_document_and_is_kept_whole(
    server: Server, document: object, status: int, code: str, field: str | None
) -> None:
    answer = is_problem(await server.push(document), status, code)
    assert [error["field"] for error in answer.get("errors", [])] == ([field] if field else [])
    (kept,) = server.intake.rejected
    assert kept.payload == (document if isinstance(document, bytes) else json.dumps(document).encode())
    assert (kept.reason, kept.source, kept.topic) == (code, "http", "/api/v1/signals")


async def test_an_unknown_adapter_is_kept_and_refused(server: Server) -> None:
    is_problem(await server.push(SIGNAL, "/acme"), 404, "unknown_adapter")
    (kept,) = server.intake.rejected
    assert (kept.source, kept.dangerous) == ("http:acme", True)


async def test_a_platforms_push_with_two_properties_says_what_became_of_both(server: Server) -> None:
    push = {
        "messageType": "dataReport",
        "deviceId": "x",
        "timestamp": 1668047580000,
        "payload": {"gas_sensor_state": 0, "smoke_state": 1},
    }
    answer = await server.push(push, "/nbiot")
    assert answer.status_code == 202
    assert answer.json()["alarm"] is not None
    assert [one["alarm"] is None for one in answer.json()["signals"]] == [True, False]
    assert {signal.source for signal in server.intake.signals.values()} == {"http:nbiot"}
    assert (await server.push(push, "/nbiot")).status_code == 200


async def test_a_push_that_says_nothing_is_ignored(server: Server) -> None:
    answer = await server.push({"messageType": "commandResponse"}, "/nbiot")
    assert (answer.status_code, answer.json()["signal"]) == (202, "ignored")


async def test_a_device_that_the_store_does_not_know_is_acknowledged(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unknown(batch: Sequence[Incoming]) -> list[Receipt]:
        return [Receipt(Taken.QUARANTINED, reason="unknown_device") for _ in batch]

    monkeypatch.setattr(server.intake, "take", unknown)
    answer = await server.push(SIGNAL)
    assert answer.status_code == 202
    assert answer.json() == {"signal": "quarantined", "alarm": None, "reason": "unknown_device"}


async def test_one_mebibyte_is_taken_and_more_is_not(server: Server) -> None:
    assert (await server.push(SIGNAL | {"maker": "x" * 1024 * 1024})).status_code == 202
    is_problem(await server.push(b"x" * (MAX_PAYLOAD + 1)), 413, "too_large")
    assert len(server.intake.batches) == 1


async def test_a_body_without_a_declared_length_is_bounded_too(server: Server) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 100 * MAX_PAYLOAD:
            sent += 65536
            yield b"x" * 65536

    answer = await server._client.post("/api/v1/signals", content=endless())
    is_problem(answer, 413, "too_large")
    assert not server.intake.batches


async def test_when_the_database_is_away_the_sender_is_told_to_repeat(server: Server) -> None:
    server.intake.fault = lambda batch: sqlalchemy.exc.OperationalError("", {}, psycopg.OperationalError())
    answer = await server.push(SIGNAL)
    is_problem(answer, 503, "database_away")
    assert int(answer.headers["Retry-After"]) > 0
    assert not server.intake.signals


async def test_what_the_store_cannot_take_is_quarantined(server: Server) -> None:
    server.intake.fault = lambda batch: ValueError() if not hasattr(batch[0], "reason") else None
    answer = await server.push(SIGNAL)
    assert answer.status_code == 202
    assert answer.json()["reason"] == "store_error"
    assert server.intake.rejected[0].dangerous


async def test_openapi_names_the_headers_and_the_fields(server: Server) -> None:
    document = (await server._client.get("/openapi.json")).json()
    plain = document["paths"]["/api/v1/signals"]["post"]
    assert {one["name"] for one in plain["parameters"]} == {"X-Careline-Timestamp", "X-Careline-Signature"}
    assert "device_id" in plain["requestBody"]["content"]["application/json"]["schema"]["required"]
    adapter = document["paths"]["/api/v1/signals/{adapter}"]["post"]
    assert "adapter" in {one["name"] for one in adapter["parameters"]}
