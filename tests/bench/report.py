"""What the benchmarks found: a table for people, JSON for machines."""

from __future__ import annotations

import json
import math
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime


@dataclass(frozen=True)
class Ratio:
    """Ours beside the bare thing. `better`: whether the ratio should be low or high; `target`: None if none is set."""

    what: str
    ours: float
    bare: float
    unit: str
    better: str = "lower"
    target: float | None = None

    @property
    def ratio(self) -> float:
        return self.ours / self.bare if self.bare else math.nan

    @property
    def verdict(self) -> str:
        """Whether the target is reached; never asserted in a test, as the machine decides along."""
        if self.target is None:
            return "no target"
        reached = self.ratio <= self.target if self.better == "lower" else self.ratio >= self.target
        sign = "≤" if self.better == "lower" else "≥"
        return f"{sign} {self.target:g} {'reached' if reached else 'MISSED'}"


@dataclass(frozen=True)
class Figure:
    """One of the five figures. `samples`: measurements of each side; `notes`: what limits it, what to know."""

    number: int
    name: str
    samples: str
    ratios: Sequence[Ratio]
    notes: Sequence[str] = field(default_factory=list)


def quantile(values: Sequence[float], q: float) -> float:
    """The nearest-rank quantile: a value that was measured, never one between two."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(q * len(ordered)) - 1)] if ordered else math.nan


def table(figures: Sequence[Figure]) -> str:
    lines = []
    for figure in figures:
        lines.append(f"{figure.number}. {figure.name} (n: {figure.samples})")
        for r in figure.ratios:
            values = f"{_short(r.ours):>9} : {_short(r.bare):>9} {r.unit:<8}"
            lines.append(f"   {r.what:<38} {values} ratio {r.ratio:7.2f}   {r.verdict}")
        lines += [f"   - {note}" for note in figure.notes]
    return "\n".join(lines)


def document(figures: Sequence[Figure], *, quick: bool) -> str:
    """The same as JSON, with what is needed to compare runs of different days."""
    return json.dumps(
        {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "quick": quick,
            "machine": {
                "cpus": os.cpu_count(),
                "load": os.getloadavg(),
                "python": platform.python_version(),
                "kernel": platform.release(),
            },
            "figures": [
                {**asdict(f), "ratios": [{**asdict(r), "ratio": r.ratio, "verdict": r.verdict} for r in f.ratios]}
                for f in figures
            ],
        },
        indent=2,
        ensure_ascii=False,
    )


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.2f}"
