"""One message from outside, and what we understood of it."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime

from alarm_core.signal import Incoming, Rejected, Signal, SignalState
from ingest.adapters import ADAPTERS, Unreadable
from ingest.adapters.fields import read_name
from ingest.danger import looks_dangerous

log = logging.getLogger("careline.ingest")

_TEXT_LIMIT = 512


@dataclass(frozen=True, slots=True)
class Message:
    """A message as it came (`topic`: the MQTT topic or the HTTP path), and its items for the record.

    Signals if it was understood, one `Rejected` if not (then `unreadable` says why), nothing if it says nothing.
    """

    source: str
    topic: str
    payload: bytes
    device_id: str | None
    items: tuple[Incoming, ...]
    unreadable: Unreadable | None = None

    @property
    def urgent(self) -> bool:
        """Goes before heartbeats: it may start or end an alarm, or it may be danger that could not be read.

        All-clears are urgent too, so that a device's alarm and all-clear stay in order.
        """
        return any(
            item.dangerous if isinstance(item, Rejected) else item.state in (SignalState.ALARM, SignalState.CLEAR)
            for item in self.items
        )


def understand(
    payload: bytes,
    *,
    adapter: str,
    device_id: str | None,
    source: str,
    topic: str,
    received_at: datetime,
) -> Message:
    """Read a payload with the named adapter. Never raises: what cannot be understood becomes a `Rejected`."""
    parse = ADAPTERS.get(adapter, _no_adapter)
    try:
        if device_id is not None:
            read_name(device_id, "device_id")
        signals = parse(payload, device_id=device_id, source=source, received_at=received_at)
    except Unreadable as unreadable:
        return refuse(payload, unreadable, device_id=device_id, source=source, topic=topic)
    except Exception as error:  # an adapter's mistake must cost one message, not the queue
        # Without the traceback: it can quote the payload. That lies in the quarantine, to try again with.
        log.critical("adapter %s failed: %s", adapter, type(error).__name__)
        failed = Unreadable("adapter_failed", f"the adapter failed: {type(error).__name__}")
        return refuse(payload, failed, device_id=device_id, source=source, topic=topic)
    return Message(source, topic, payload, device_id, tuple(signals))


def _no_adapter(payload: bytes, *, device_id: str | None, source: str, received_at: datetime) -> list[Signal]:
    raise Unreadable("unknown_adapter", "there is no such adapter")


def refuse(payload: bytes, unreadable: Unreadable, *, device_id: str | None, source: str, topic: str) -> Message:
    """The message as one item for the quarantine, payload whole."""
    rejected = Rejected(
        source=source,
        topic=storable(topic),
        payload=payload,
        reason=unreadable.reason,
        detail=storable(unreadable.detail),
        device_id=None if device_id is None else storable(device_id),
        dangerous=unreadable.dangerous or looks_dangerous(payload),
    )
    return Message(source, topic, payload, device_id, (rejected,), unreadable)


def store_error(message: Message, item: Incoming, error: Exception) -> Rejected:
    """The item as one for the quarantine, because the store refused it as it was."""
    detail = f"{type(error).__name__}: {getattr(error, 'orig', None) or error}"
    dangerous = (
        item.state is SignalState.ALARM or looks_dangerous(message.payload)
        if isinstance(item, Signal)
        else item.dangerous
    )
    return Rejected(
        source=message.source,
        topic=storable(message.topic),
        payload=message.payload,
        reason="store_error",
        detail=storable(detail),
        device_id=None if message.device_id is None else storable(message.device_id),
        dangerous=dangerous,
    )


def storable(text: str) -> str:
    """Text that PostgreSQL can hold and a terminal can show; at most 512 characters."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text[:_TEXT_LIMIT])
