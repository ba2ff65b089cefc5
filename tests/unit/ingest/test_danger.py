"""What nobody can read is judged: does a person have to hear of it?"""

from __future__ import annotations

import random
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.danger import looks_dangerous
from ingest.message import understand

NOW = datetime(2026, 11, 22, tzinfo=UTC)


@pytest.mark.parametrize(
    "payload",
    [
        b'{"id": 1, "kind": "smoke", "state": "alarm"',
        b'{"state":"ALARM"}',
        b"{'kind': 'CO'}",
        b"SOS",
        b"state=alarm;kind=5",
        b'{"state": "alarm", "state": "clear"}',
        "设备报警：厨房燃气泄漏".encode(),
        "老人摔倒".encode("gb18030"),
        "\ufeff求救".encode("utf-16-le"),
        rb'{"msg": "\u7740\u706b"}',
        b'{"kind": "one-key", "battery": 87}',
        b"\xff{kind: fall, }",
        b"\x01\x02\x00" * 20 + b"smoke" + b"\x00" * 20,
        "烟雾".encode() + b"x" * 100_000,
        ("x" * (64 * 1024 - 7) + "烟雾烟").encode(),
    ],
)
def test_danger_is_seen(payload: bytes) -> None:
    assert looks_dangerous(payload)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"hello",
        b"\x00" * 1000,
        b'{"kind": "smoke", "state": "heartbeat", "battery": 200}',
        b'{"kind": "fall", "state": "clear", "at": "?"}',
        b'{"temperature": 21, "company": "gasworks"}',
        b"x" * 1024 * 1024,
    ],
)
def test_calm_is_seen(payload: bytes) -> None:
    assert not looks_dangerous(payload)


def test_noise_is_not_danger() -> None:
    noise = random.Random(7)
    assert not any(looks_dangerous(noise.randbytes(size)) for size in (40, 400, 4000, 1024 * 1024) for _ in range(20))


@given(st.binary(max_size=2000))
def test_any_bytes_have_an_answer(payload: bytes) -> None:
    assert looks_dangerous(payload) in (True, False)


def test_an_adapter_that_fails_costs_one_message_and_is_told_to_a_person(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> object:
        raise ZeroDivisionError

    monkeypatch.setattr("ingest.message.ADAPTERS", {"plain": broken})
    message = understand(
        b'{"state": "alarm"}', adapter="plain", device_id="d", source="mqtt", topic="t", received_at=NOW
    )
    (item,) = message.items
    assert getattr(item, "reason", None) == "adapter_failed"
    assert message.urgent
