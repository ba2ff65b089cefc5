"""Adapters: one module for each way in which makers write a signal. How to add one: docs/device-protocol.md."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from alarm_core.signal import Signal
from ingest.adapters import nbiot, plain
from ingest.adapters.unreadable import Unreadable

__all__ = ["ADAPTERS", "Adapter", "Unreadable"]


class Adapter(Protocol):
    """Reads one payload. Raises `Unreadable` and nothing else, whatever the bytes are."""

    def __call__(self, payload: bytes, *, device_id: str | None, source: str, received_at: datetime) -> list[Signal]:
        """The signals of a payload. `device_id`: from the topic, None where the payload must name it."""
        ...


ADAPTERS: Mapping[str, Adapter] = {"plain": plain.parse, "nbiot": nbiot.parse}
