"""Every adapter reads its examples, refuses what it must with a reason, and raises nothing but Unreadable."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ingest.adapters
from alarm_core.signal import Signal, SignalState
from ingest.adapters import ADAPTERS, Unreadable
from ingest.adapters.fields import MAX_PAYLOAD, read_object

NOW = datetime(2026, 11, 22, tzinfo=UTC)
EXAMPLES = sorted((Path(ingest.adapters.__file__).parent / "examples").glob("*/*.json"))
GOOD: dict[str, Any] = {
    "id": "7f3a-0001",
    "kind": "smoke",
    "at": "2026-11-22T05:13:00+08:00",
    "state": "alarm",
    "battery": 0.87,
}


def read(adapter: str, payload: object, device_id: str | None = "d1") -> list[Signal]:
    raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return ADAPTERS[adapter](raw, device_id=device_id, source="test", received_at=NOW)


def refusal(adapter: str, payload: object, device_id: str | None = "d1") -> Unreadable:
    with pytest.raises(Unreadable) as caught:
        read(adapter, payload, device_id)
    return caught.value


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_the_examples_beside_the_adapters_are_read_as_they_say(path: Path) -> None:
    example = json.loads(path.read_text(encoding="utf-8"))
    signals = read(path.parent.name, example["payload"], example["device_id"])
    assert len(signals) == len(example["signals"])
    for signal, expected in zip(signals, example["signals"], strict=True):
        for name, value in expected.items():
            found = getattr(signal, name)
            assert (found.isoformat() if isinstance(found, datetime) else found) == value, name


def test_every_adapter_has_examples() -> None:
    assert {path.parent.name for path in EXAMPLES} == set(ADAPTERS)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"id": ""}, "id"),
        ({"id": "x" * 129}, "id"),
        ({"id": "line\nbreak"}, "id"),
        ({"id": "nul\0"}, "id"),
        ({"id": True}, "id"),
        ({"id": None}, "id"),
        ({"kind": "smoke; DROP"}, "kind"),
        ({"kind": "烟雾"}, "kind"),
        ({"kind": ""}, "kind"),
        ({"kind": 3}, "kind"),
        ({"state": "ALERT"}, "state"),
        ({"state": ["alarm"]}, "state"),
        ({"at": "yesterday"}, "at"),
        ({"at": "9999-12-31T23:59:59-12:00"}, "at"),
        ({"at": "0001-01-01T00:00:00+12:00"}, "at"),
        ({"at": 10**30 // 10**12}, "at"),
        ({"at": True}, "at"),
        ({"at": {}}, "at"),
        ({"battery": 87}, "battery"),
        ({"battery": -0.1}, "battery"),
        ({"battery": "0.5"}, "battery"),
        ({"battery": True}, "battery"),
        ({"value": "x" * 40_000}, "value"),
        ({"value": "nul\0"}, "value"),
        ({"value": {"a\ud800": 1}}, "value"),
        ({"device_id": "another"}, "device_id"),
    ],
)
def test_a_wrong_field_is_named(change: dict[str, Any], field: str) -> None:
    refused = refusal("plain", GOOD | change)
    assert (refused.reason, refused.field) == ("bad_field", field)


@pytest.mark.parametrize("field", ["id", "kind", "state"])
def test_a_missing_field_is_named(field: str) -> None:
    refused = refusal("plain", {name: value for name, value in GOOD.items() if name != field})
    assert refused.field == field
    assert "missing" in refused.detail


def test_over_http_the_device_must_be_named() -> None:
    assert refusal("plain", GOOD, device_id=None).field == "device_id"


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xff\xfe\x00",
        b"smoke!",
        b"null",
        b"[]",
        b'"alarm"',
        b'{"id": NaN}',
        b'{"id": 1e999}',
        b'{"id": -Infinity}',
        b'{"id": ' + b"9" * 100_000 + b"}",
        b'{"state": "alarm", "state": "clear"}',
        b"[" * 500_000,
        b'{"a":' * 100_000,
        b'{"id": "1"',
    ],
    ids=lambda payload: payload[:24].decode("latin-1"),
)
def test_what_is_not_sound_json_is_refused(payload: bytes) -> None:
    for adapter in ADAPTERS:
        assert refusal(adapter, payload).reason == "not_json"


def test_a_value_may_not_be_deep() -> None:
    deep: object = 1
    for _ in range(20):
        deep = [deep]
    assert refusal("plain", GOOD | {"value": deep}).field == "value"


def test_one_mebibyte_is_read_and_more_is_not() -> None:
    assert read("plain", GOOD | {"maker": "x" * 1024 * 1024})[0].kind == "smoke"
    assert refusal("plain", b" " * (MAX_PAYLOAD + 1)).reason == "too_large"


def test_quotes_and_line_breaks_in_a_value_are_kept_as_they_are() -> None:
    text = "a\"b'c\r\nAction: Originate\r\n"
    assert read("plain", GOOD | {"value": text})[0].value == text


def test_time_may_be_seconds_or_milliseconds() -> None:
    for at in (1668047580, 1668047580000, 1668047580.0):
        assert read("plain", GOOD | {"at": at})[0].at == datetime(2022, 11, 10, 2, 33, tzinfo=UTC)


def test_the_same_push_of_the_platform_has_the_same_id_and_another_has_another() -> None:
    push = {
        "upPacketSN": -1,
        "messageType": "eventReport",
        "eventType": 2,
        "timestamp": 1668047580000,
        "deviceId": "a",
        "eventContent": {"sos_state": 1},
    }
    first, again = read("nbiot", push)[0], read("nbiot", dict(reversed(push.items())))[0]
    later = read("nbiot", push | {"timestamp": 1668047580001})[0]
    assert first.message_id == again.message_id != later.message_id


@pytest.mark.parametrize(
    ("push", "reason", "dangerous"),
    [
        ({"messageType": "eventReport", "eventType": 2, "eventContent": {"new": 1}}, "not_understood", True),
        ({"messageType": "eventReport", "eventType": 1, "eventContent": {"new": 1}}, "not_understood", False),
        ({"messageType": "eventReport", "eventContent": {"smoke_state": 7}}, "bad_field", True),
        ({"messageType": "eventReport", "eventContent": {"smoke_state": "9" * 5000}}, "bad_field", True),
        ({"messageType": "dataReport", "payload": {"APPdata": "AAECAw=="}}, "not_understood", False),
        ({"messageType": "dataReport", "payload": "AAECAw=="}, "bad_field", False),
        ({"messageType": "dataReport", "payload": {"smoke_state": 0, "battery_value": 101}}, "bad_field", False),
        ({"messageType": "deviceOnlineOfflineReport", "eventType": 5}, "bad_field", False),
        ({"messageType": ["dataReport"]}, "not_understood", False),
        ({}, "not_understood", False),
    ],
)
def test_a_push_that_is_not_known_is_refused_and_danger_is_flagged(
    push: dict[str, Any], reason: str, dangerous: bool
) -> None:
    refused = refusal("nbiot", push)
    assert (refused.reason, refused.dangerous) == (reason, dangerous)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=()))
    | st.sampled_from([1668047580000, "alarm", "heartbeat", "1", 0, 1, 2, 10**20, "2026-11-22", "\ud800", "\0"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
FIELDS = st.sampled_from(
    ["id", "kind", "at", "value", "state", "battery", "device_id", "messageType", "payload", "eventContent"]
) | st.sampled_from(
    ["eventType", "deviceId", "timestamp", "smoke_state", "sos_state", "battery_value", "error_code", "serviceData"]
)
KINDS = st.sampled_from(["dataReport", "eventReport", "deviceOnlineOfflineReport", "commandResponse"])
DOCUMENTS = st.dictionaries(FIELDS, JSON | st.dictionaries(FIELDS, JSON), max_size=9) | st.builds(
    lambda push, kind, content: push | {"messageType": kind, "payload": content, "eventContent": content},
    st.dictionaries(FIELDS, JSON, max_size=4),
    KINDS,
    st.dictionaries(FIELDS, JSON, max_size=4),
)


def check_storable(signal: Signal) -> None:
    json.dumps(signal.value, allow_nan=False, ensure_ascii=False).encode()
    for text in (signal.device_id, signal.message_id, signal.kind):
        assert text.isprintable()
        assert 1 <= len(text) <= 200
        text.encode()
    assert signal.at.utcoffset() is not None
    assert signal.battery is None or 0 <= signal.battery <= 1
    assert isinstance(signal.state, SignalState)


@given(document=DOCUMENTS, adapter=st.sampled_from(sorted(ADAPTERS)), device_id=st.sampled_from(["d1", None]))
@settings(max_examples=400, deadline=None)
def test_any_document_gives_storable_signals_or_unreadable(
    document: dict[str, Any], adapter: str, device_id: str | None
) -> None:
    try:
        signals = read(adapter, document, device_id)
    except Unreadable:
        return
    for signal in signals:
        check_storable(signal)


@given(payload=st.binary(max_size=300), adapter=st.sampled_from(sorted(ADAPTERS)))
@settings(deadline=None)
def test_any_bytes_give_signals_or_unreadable(payload: bytes, adapter: str) -> None:
    with pytest.raises(Unreadable):
        read(adapter, payload)


@given(cut=st.integers(0, 400), flips=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=3))
@settings(max_examples=300, deadline=None)
def test_a_damaged_example_gives_storable_signals_or_unreadable(cut: int, flips: list[tuple[int, int]]) -> None:
    for path in EXAMPLES:
        raw = bytearray(json.dumps(json.loads(path.read_bytes())["payload"]).encode())
        for place, byte in flips:
            raw[place % len(raw)] = byte
        del raw[len(raw) - cut % len(raw) :]
        try:
            for signal in read(path.parent.name, bytes(raw)):
                check_storable(signal)
        except Unreadable:
            pass


def test_a_byte_order_mark_is_forgiven() -> None:
    assert read_object(b"\xef\xbb\xbf{}") == {}


def test_base64_of_a_maker_is_not_taken_for_an_alarm_by_chance() -> None:
    noise = base64.b64encode(bytes(range(256))).decode()
    assert not refusal("nbiot", {"messageType": "dataReport", "payload": {"APPdata": noise}}).dangerous
