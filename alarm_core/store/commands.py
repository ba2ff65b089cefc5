"""The table of commands: claimed with a lease on the database's clock, finished only by who claimed them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from alarm_core.commands import COMMAND, Command
from alarm_core.store.database import Database, Statement

# Urgent first; SKIP LOCKED lets several workers claim side by side without waiting for each other.
_CLAIM = """
UPDATE command SET state = 'claimed', owner = %s, attempt = attempt + 1,
       lease_until = clock_timestamp() + make_interval(secs => %s)
WHERE key IN (
    SELECT key FROM command
    WHERE type = ANY(%s) AND state = 'due' AND due_at <= clock_timestamp()
    ORDER BY due_at LIMIT %s FOR UPDATE SKIP LOCKED)
RETURNING key, alarm_id, attempt, data
"""
# A claim whose lease ran out belongs to a worker that died: it becomes due again.
_RECLAIM = """
UPDATE command SET state = 'due' WHERE key IN (
    SELECT key FROM command WHERE state = 'claimed' AND type = ANY(%s) AND lease_until < clock_timestamp()
    FOR UPDATE SKIP LOCKED)
"""
_NEXT = """
SELECT extract(epoch FROM least(
    (SELECT min(due_at) FROM command WHERE state = 'due' AND type = ANY(%s)),
    (SELECT min(lease_until) FROM command WHERE state = 'claimed' AND type = ANY(%s))) - clock_timestamp())
"""
# The fence: who lost the lease in the meantime finishes nothing.
_FINISH = """
UPDATE command SET state = 'done', finished_at = clock_timestamp()
WHERE key = %s AND state = 'claimed' AND owner = %s AND attempt = %s
"""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A command in this worker's hands."""

    alarm_id: UUID
    command: Command
    owner: str
    attempt: int

    @property
    def finished(self) -> Statement:
        """Ends it, unless another worker has taken it over."""
        return (_FINISH, (self.command.key, self.owner, self.attempt))


class Commands:
    def __init__(self, database: Database, owner: str, lease_seconds: float = 5.0) -> None:
        self._database = database
        self.owner = owner
        self.lease_seconds = lease_seconds

    async def claim(self, types: Sequence[str], limit: int) -> tuple[list[Claimed], float | None]:
        """Claim what is due; returns it and the seconds until the next of these types is due (None: none waits)."""
        names = list(types)
        async with self._database.transaction() as tx:
            _, rows, ((seconds,),) = await tx.together(
                [
                    (_RECLAIM, (names,)),
                    (_CLAIM, (self.owner, self.lease_seconds, names, limit)),
                    (_NEXT, (names, names)),
                ],
                commit=True,
            )
        claimed = [
            Claimed(alarm_id, COMMAND.validate_python(data), self.owner, attempt) for _, alarm_id, attempt, data in rows
        ]
        claimed.sort(key=lambda item: item.command.key)
        return claimed, None if seconds is None else max(float(seconds), 0.0)

    async def finish(self, claimed: Claimed, also: Sequence[Statement] = ()) -> None:
        async with self._database.transaction() as tx:
            await tx.together([claimed.finished, *also], commit=True)
