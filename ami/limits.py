"""How much a node and its trunks can carry."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TrunkLimit:
    """A trunk by its name in Asterisk."""

    name: str
    max_channels: int
    calls_per_second: float


@dataclass(frozen=True, slots=True)
class NodeLimits:
    """What a node may do. `lost_after_seconds`: Asterisk away for so long, its calls are given up as lost."""

    max_channels: int
    calls_per_second: float
    trunks: tuple[TrunkLimit, ...]
    caller_id: str
    lost_after_seconds: float = 10.0
