"""Prometheus figures of ingest. Labels hold short codes only: no device, no text of a payload."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import Counter, Gauge, Histogram

from alarm_core.signal import Receipt, Rejected, Taken
from ingest.message import Message

RECEIVED = Counter("careline_ingest_received", "Messages that came in.", ["source"])
COMMITTED = Counter("careline_ingest_committed", "Items committed, by outcome.", ["outcome"])
REJECTED = Counter("careline_ingest_rejected", "Items kept in the quarantine.", ["reason"])
UNSIGNED = Counter("careline_ingest_unsigned", "HTTP pushes refused for their signature.")
RETRIES = Counter("careline_ingest_retries", "Batches that had to be tried again.")
STUCK = Counter("careline_ingest_stuck", "Messages that neither record nor quarantine would take.")
THREAD_DEATHS = Counter("careline_ingest_mqtt_thread_deaths", "Restarts of the MQTT thread.")
MQTT_CONNECTED = Gauge("careline_ingest_mqtt_connected", "1 while the broker is connected.")
WAITING = Gauge("careline_ingest_waiting", "Messages received and not committed yet.")
BATCH_SIZE = Histogram("careline_ingest_batch_size", "Items in a batch.", buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500))
BATCH_SECONDS = Histogram(
    "careline_ingest_batch_seconds",
    "Time to commit a batch.",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 5),
)


def count_receipts(message: Message, receipts: Iterable[Receipt]) -> None:
    """Count what became of a message's items."""
    for receipt in receipts:
        COMMITTED.labels(receipt.taken.value).inc()
        if receipt.taken is Taken.QUARANTINED:
            REJECTED.labels(receipt.reason or _reason(message)).inc()


def _reason(message: Message) -> str:
    reasons = [item.reason for item in message.items if isinstance(item, Rejected)]
    return reasons[0] if reasons else "unknown"
