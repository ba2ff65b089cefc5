"""Devices that fall silent: found here, raised as signals of their own."""

from __future__ import annotations

from alarm_core.signal import SWEEP, Signal, SignalState
from alarm_core.store.database import Database

_OVERDUE = """
SELECT id, coalesce(last_seen_at, created_at), clock_timestamp() FROM device
WHERE heartbeat_seconds IS NOT NULL AND NOT silent
  AND coalesce(last_seen_at, created_at) < clock_timestamp() - make_interval(secs => heartbeat_seconds)
ORDER BY last_seen_at LIMIT 500
"""
# Only if it has not spoken in the meantime.
_SILENT = """
UPDATE device SET silent = true WHERE id = ANY(%s)
  AND coalesce(last_seen_at, created_at) < clock_timestamp() - make_interval(secs => heartbeat_seconds)
"""
_OLD_HEARTBEATS = """
DELETE FROM signal WHERE state = 'heartbeat' AND alarm_id IS NULL
  AND received_at < clock_timestamp() - make_interval(days => %s)
"""


class Devices:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def overdue(self) -> list[Signal]:
        """A signal for each device that has been silent for longer than it may. The same silence is the same signal."""
        async with self._database.transaction() as tx:
            rows = await tx.all(_OVERDUE)
        return [
            Signal(device, f"silent-{seen.timestamp():.0f}", "heartbeat_lost", SignalState.ALARM, now, SWEEP)
            for device, seen, now in rows
        ]

    async def mark_silent(self, signals: list[Signal]) -> None:
        """These are known to be silent now: not raised again until they speak."""
        ids = [signal.device_id for signal in signals]
        async with self._database.transaction() as tx:
            await tx.together([(_SILENT, (ids,))], commit=True)

    async def forget_heartbeats(self, days: int) -> None:
        """Heartbeats are kept for so many days; alarms and what belongs to them for ever."""
        async with self._database.transaction() as tx:
            await tx.together([(_OLD_HEARTBEATS, (days,))], commit=True)
