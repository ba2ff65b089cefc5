"""Careline's own JSON: the contract of docs/device-protocol.md."""

from __future__ import annotations

from datetime import datetime

from alarm_core.signal import Signal
from ingest.adapters.fields import (
    read_battery,
    read_kind,
    read_name,
    read_object,
    read_state,
    read_time,
    read_value,
)
from ingest.adapters.unreadable import Unreadable


def parse(payload: bytes, *, device_id: str | None, source: str, received_at: datetime) -> list[Signal]:
    """One signal. `device_id` is the topic's; over HTTP it is None and stands in the document.

    Fields that the contract does not name are passed over: a maker may add its own. A device without a clock leaves
    out `at`; then the time of receipt counts.
    """
    document = read_object(payload)
    for field in ("id", "kind", "state"):
        if field not in document:
            raise Unreadable("bad_field", f"{field}: is missing", field=field)
    if device_id is None or "device_id" in document:
        named = read_name(document.get("device_id"), "device_id")
        if device_id is not None and named != device_id:
            raise Unreadable("bad_field", "device_id: differs from the topic's", field="device_id")
        device_id = named
    at = document.get("at")
    return [
        Signal(
            device_id=device_id,
            message_id=read_name(document["id"], "id"),
            kind=read_kind(document["kind"]),
            state=read_state(document["state"]),
            at=received_at if at is None else read_time(at),
            source=source,
            value=read_value(document.get("value")),
            battery=read_battery(document.get("battery")),
        )
    ]
