"""Figures of the whole service, read from the database for Prometheus."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from prometheus_client import generate_latest
from prometheus_client.core import CollectorRegistry, CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from alarm_core.store.database import Database

_KEEP_SECONDS = 5.0

# (metric, help, labels, whether it only grows, query: labels and value)
_FIGURES: tuple[tuple[str, str, tuple[str, ...], bool, str], ...] = (
    (
        "careline_alarms_opened",
        "Alarms opened, by the kind that leads them now.",
        ("kind",),
        True,
        "SELECT kind, count(*) FROM alarm GROUP BY 1",
    ),
    (
        "careline_alarms",
        "Alarms that are not closed, by kind and phase.",
        ("kind", "phase"),
        False,
        "SELECT kind, phase, count(*) FROM alarm WHERE phase <> 'closed' GROUP BY 1, 2",
    ),
    (
        "careline_calls",
        "Calls that are over, by party and what the network said.",
        ("party", "outcome"),
        True,
        "SELECT party, coalesce(outcome, 'unknown'), count(*) FROM call WHERE ended_at IS NOT NULL GROUP BY 1, 2",
    ),
    (
        "careline_calls_live",
        "Calls that last, by node.",
        ("node",),
        False,
        "SELECT node, count(*) FROM call WHERE ended_at IS NULL GROUP BY 1",
    ),
    (
        "careline_calls_waiting",
        "Calls that are due and wait for a line.",
        (),
        False,
        "SELECT count(*) FROM command WHERE type = 'place_call' AND state = 'due' AND due_at <= clock_timestamp()",
    ),
    (
        "careline_commands_lateness_seconds",
        "How long the most overdue command has been due, by type.",
        ("type",),
        False,
        "SELECT type, extract(epoch FROM clock_timestamp() - min(due_at))::float8 FROM command "
        "WHERE state = 'due' AND due_at <= clock_timestamp() GROUP BY 1",
    ),
    (
        "careline_signals_recent",
        "Signals of the last five minutes, by state.",
        ("state",),
        False,
        "SELECT state, count(*) FROM signal WHERE received_at > clock_timestamp() - interval '5 minutes' GROUP BY 1",
    ),
    (
        "careline_signals_rejected",
        "Messages in quarantine, by reason.",
        ("reason",),
        True,
        "SELECT reason, count(*) FROM rejected_signal GROUP BY 1",
    ),
    (
        "careline_devices_silent",
        "Devices whose heartbeat is missing.",
        (),
        False,
        "SELECT count(*) FROM device WHERE silent",
    ),
    (
        "careline_node_lease_seconds",
        "Seconds until a node's lease runs out; below 0: nobody drives it.",
        ("node",),
        False,
        "SELECT id, coalesce(extract(epoch FROM lease_until - clock_timestamp()), -1)::float8 FROM node",
    ),
    (
        "careline_node_calls_per_second",
        "Calls a second that a node allows itself now.",
        ("node",),
        False,
        "SELECT id, rate FROM node WHERE rate IS NOT NULL",
    ),
)


class _Read(Collector):
    """Rows that were read, as metrics."""

    def __init__(self, results: Sequence[Iterable[Sequence[Any]]]) -> None:
        self._results = results

    def collect(self) -> Iterator[Metric]:
        for (name, help_, labels, grows, _), rows in zip(_FIGURES, self._results, strict=True):
            family = (CounterMetricFamily if grows else GaugeMetricFamily)(name, help_, labels=labels)
            for *values, figure in rows:
                family.add_metric([str(value) for value in values], float(figure))
            yield family


class Figures:
    """Reads the figures, at most once in five seconds however often they are asked for."""

    def __init__(self) -> None:
        self._text = b""
        self._until = 0.0

    async def text(self, database: Database) -> bytes:
        if time.monotonic() >= self._until:
            async with database.transaction() as tx:
                results = await tx.together([(sql, ()) for *_, sql in _FIGURES])
            registry = CollectorRegistry()
            registry.register(_Read(results))
            self._text = generate_latest(registry)
            self._until = time.monotonic() + _KEEP_SECONDS
        return self._text
