"""Who drives which Asterisk: one ami role a node, by lease on the database's clock."""

from __future__ import annotations

import time

from alarm_core.store.database import Database

_TAKE = """
INSERT INTO node AS n (id, owner, lease_until) VALUES (%s, %s, clock_timestamp() + make_interval(secs => %s))
ON CONFLICT (id) DO UPDATE SET owner = excluded.owner, lease_until = excluded.lease_until
WHERE n.owner = excluded.owner OR n.lease_until IS NULL OR n.lease_until < clock_timestamp()
RETURNING id
"""
_LEFT = "SELECT extract(epoch FROM lease_until - clock_timestamp()) FROM node WHERE id = %s"
_GIVE_BACK = "UPDATE node SET owner = NULL, lease_until = NULL WHERE id = %s AND owner = %s"
_RATE = "UPDATE node SET rate = %s WHERE id = %s AND owner = %s"


class Nodes:
    def __init__(self, database: Database, node: str, owner: str, lease_seconds: float) -> None:
        self._database = database
        self.node = node
        self.owner = owner
        self.lease_seconds = lease_seconds
        self._held_until = 0.0

    @property
    def held(self) -> bool:
        """Whether the lease is surely still ours, by this machine's own measure of time since it was asked for."""
        return time.monotonic() < self._held_until

    async def take(self) -> float | None:
        """Take or renew the lease. None when it is ours; otherwise the seconds until the holder's lease runs out."""
        asked_at = time.monotonic()
        async with self._database.transaction() as tx:
            mine, left = await tx.together(
                [(_TAKE, (self.node, self.owner, self.lease_seconds)), (_LEFT, (self.node,))], commit=True
            )
        if mine:
            self._held_until = asked_at + self.lease_seconds
            return None
        return max(float(left[0][0]), 0.0) if left and left[0][0] is not None else 0.0

    async def give_back(self) -> None:
        async with self._database.transaction() as tx:
            await tx.together([(_GIVE_BACK, (self.node, self.owner))], commit=True)

    async def note_rate(self, rate: float) -> None:
        async with self._database.transaction() as tx:
            await tx.together([(_RATE, (rate, self.node, self.owner))], commit=True)
