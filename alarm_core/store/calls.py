"""The record of calls, and the claim by which a call may be placed: the guard against dialling a phone twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from alarm_core.commands import COMMAND, PlaceCall
from alarm_core.events import CallOutcome
from alarm_core.store.commands import Claimed
from alarm_core.store.database import Database, Statement

# One statement: claim in order of urgency and write the calls' rows, on the condition that the node is still ours.
# A phone that is on a call of ours is passed over; the unique index settles what two nodes try at once.
_CLAIM = """
WITH candidate AS (
    SELECT key, alarm_id, number, data FROM command
    WHERE type = 'place_call' AND state = 'due' AND due_at <= clock_timestamp()
      AND EXISTS (SELECT 1 FROM node WHERE id = %(node)s AND owner = %(owner)s AND lease_until > clock_timestamp())
      AND NOT EXISTS (SELECT 1 FROM call WHERE call.number = command.number
                      AND (ended_at IS NULL OR free_at > clock_timestamp()))
      AND NOT number = ANY(%(taken)s)
      AND (%(keys)s::text[] IS NULL OR key = ANY(%(keys)s))
    ORDER BY rank_at LIMIT %(limit)s FOR UPDATE OF command SKIP LOCKED
), written AS (
    INSERT INTO call (id, alarm_id, channel, direction, party, purpose, who, number, trunk, node, ring_seconds,
                      placed_at)
    SELECT key::uuid, alarm_id, key, 'out', data->>'party', data->>'purpose', (data->>'who')::uuid, number,
           %(trunk)s, %(node)s, (data->>'ring_seconds')::float8, clock_timestamp()
    FROM candidate ON CONFLICT DO NOTHING RETURNING id
)
UPDATE command SET state = 'claimed', owner = %(owner)s, attempt = attempt + 1,
       lease_until = clock_timestamp() + make_interval(secs => %(lease)s)
FROM candidate JOIN written ON written.id = candidate.key::uuid
WHERE command.key = candidate.key
RETURNING command.key, command.alarm_id, command.attempt, command.data, command.rank_at
"""
# Calls to a phone that is taken, which would rather give the next contact the turn than wait.
_ENGAGED = """
SELECT key, alarm_id FROM command
WHERE type = 'place_call' AND state = 'due' AND due_at <= clock_timestamp() AND data->>'if_engaged' = 'skip'
  AND EXISTS (SELECT 1 FROM call WHERE call.number = command.number
              AND (ended_at IS NULL OR free_at > clock_timestamp()))
LIMIT 100
"""
_LIVE = """
SELECT call.id, call.alarm_id, channel, direction, trunk, ring_seconds, placed_at, ringing_at, answered_at, c.state,
       call.number, extract(epoch FROM clock_timestamp() - placed_at)::float8
FROM call LEFT JOIN command c ON c.key = call.id::text
WHERE node = %s AND ended_at IS NULL
"""
_WITHDRAW = """
UPDATE command SET state = 'cancelled', finished_at = clock_timestamp()
WHERE key = %s AND type = 'place_call' AND state IN ('due', 'cancelled') RETURNING alarm_id
"""
_DROP = "UPDATE command SET state = 'done', finished_at = clock_timestamp() WHERE key = %s AND state = 'due'"
_RINGING = "UPDATE call SET ringing_at = coalesce(ringing_at, clock_timestamp()) WHERE id = %s"
_ANSWERED = "UPDATE call SET answered_at = coalesce(answered_at, clock_timestamp()) WHERE id = %s"
# A lost call's phone may still be ringing somewhere: it is left alone until its ring time is certainly over. Who spoke
# with us is given the time to notice that the line is dead and to hang up.
_ENDED = """
UPDATE call SET ended_at = coalesce(ended_at, clock_timestamp()), outcome = coalesce(outcome, %s), hangup_cause = %s,
       free_at = CASE WHEN NOT %s THEN NULL
                      WHEN answered_at IS NULL THEN placed_at + make_interval(secs => ring_seconds + 5)
                      ELSE clock_timestamp() + interval '10 seconds' END
WHERE id = %s
"""
_FORGET = "DELETE FROM call WHERE id = %s AND answered_at IS NULL AND ended_at IS NULL"
_DUE_AGAIN = "UPDATE command SET state = 'due', owner = NULL, lease_until = NULL WHERE key = %s AND state = 'claimed'"
_DONE = "UPDATE command SET state = 'done', finished_at = clock_timestamp() WHERE key = %s AND state = 'claimed'"
_KEYS = "UPDATE call SET keys = keys || %s WHERE id = %s"
_INBOUND = """
INSERT INTO call (id, alarm_id, channel, direction, party, purpose, who, number, trunk, node, placed_at, answered_at)
VALUES (%s, %s, %s, 'in', 'contact', 'confirm', %s, %s, %s, %s, clock_timestamp(), clock_timestamp())
ON CONFLICT DO NOTHING
"""
# The contact who calls back: dialled from here within the hour, the alarm still open; the latest call wins.
_CALLER = """
SELECT call.alarm_id, call.who FROM call JOIN alarm ON alarm.id = call.alarm_id
WHERE call.number = %s AND call.party = 'contact' AND call.direction = 'out' AND call.who IS NOT NULL
  AND (call.placed_at > clock_timestamp() - interval '1 hour' OR alarm.state->'helpers' ? call.who::text)
ORDER BY (alarm.phase IN ('received', 'verifying', 'alerting', 'attended')) DESC, call.placed_at DESC LIMIT 1
"""
_BY_CHANNEL = "SELECT id, alarm_id FROM call WHERE channel = %s AND ended_at IS NULL"
_ORPHANED = """
SELECT call.id, call.alarm_id FROM call JOIN node ON node.id = call.node
WHERE call.ended_at IS NULL AND node.lease_until < clock_timestamp() - make_interval(secs => %s)
"""
_BRIEFING = "SELECT alarm_id, purpose, who, party FROM call WHERE id = %s"


@dataclass(frozen=True, slots=True)
class LiveCall:
    """A call whose end is not in the record. `command_state`: 'claimed' while it is not known to have been sent."""

    id: UUID
    alarm_id: UUID
    channel: str
    direction: str
    trunk: str
    ring_seconds: float
    placed_at: datetime
    ringing_at: datetime | None
    answered_at: datetime | None
    command_state: str | None
    number: str
    age_seconds: float


@dataclass(frozen=True, slots=True)
class Briefing:
    """What a conversation needs to find its alarm."""

    call_id: UUID
    alarm_id: UUID
    purpose: str
    who: UUID | None
    party: str


def ringing(call_id: UUID) -> Statement:
    return (_RINGING, (call_id,))


def answered(call_id: UUID) -> Statement:
    return (_ANSWERED, (call_id,))


def ended(call_id: UUID, outcome: CallOutcome, cause: int | None) -> Statement:
    return (_ENDED, (outcome.value, cause, outcome is CallOutcome.LOST, call_id))


def sent(call_id: UUID) -> Statement:
    """The call's command is done: Asterisk has it."""
    return (_DONE, (str(call_id),))


def pressed(call_id: UUID, keys: str) -> Statement:
    return (_KEYS, (keys, call_id))


def dropped(key: str) -> Statement:
    return (_DROP, (key,))


def inbound(call_id: UUID, alarm_id: UUID, channel: str, who: UUID, number: str, trunk: str, node: str) -> Statement:
    return (_INBOUND, (call_id, alarm_id, channel, who, number, trunk, node))


@dataclass(frozen=True, slots=True)
class Lent:
    """Leave to claim up to `room` calls on a trunk of a node that this process drives. Else as in `Calls.claim`."""

    node: str
    owner: str
    trunk: str
    room: int
    lease_seconds: float
    taken: tuple[str, ...]


class Lines(Protocol):
    """Free lines of this very process: an alarm's first call is claimed in the transaction that opens the alarm."""

    def lend(self) -> Lent | None:
        """Leave for some calls, if nothing else waits for a line; `use` must follow."""
        ...

    def use(self, lent: Lent, claimed: Sequence[Claimed]) -> None:
        """After the commit: place these; what was lent beyond them is given back."""
        ...


def claim_of(lent: Lent, keys: Sequence[str] | None) -> Statement:
    """Claim due calls (only those of `keys`, if any are named); `claimed` reads the rows."""
    params = {
        "node": lent.node,
        "owner": lent.owner,
        "trunk": lent.trunk,
        "limit": lent.room,
        "lease": lent.lease_seconds,
        "taken": list(lent.taken),
        "keys": None if keys is None else list(keys),
    }
    return (_CLAIM, params)


def claimed(rows: Sequence[Any], owner: str) -> list[Claimed]:
    """The calls of a claim, most urgent first."""
    ranked = sorted(rows, key=lambda row: row[4])
    return [Claimed(alarm_id, COMMAND.validate_python(data), owner, tries) for _, alarm_id, tries, data, _ in ranked]


class Calls:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(
        self, *, node: str, owner: str, trunk: str, limit: int, lease_seconds: float, taken: Sequence[str] = ()
    ) -> list[Claimed]:
        """Take up to `limit` calls to place, most urgent first; each has its row in `call` after this.

        `taken`: phones in calls that are not in the record (the dialplan's own); they are passed over.
        """
        lent = Lent(node, owner, trunk, limit, lease_seconds, tuple(taken))
        return claimed(await self._database.query(*claim_of(lent, None)), owner)

    async def engaged(self) -> list[tuple[str, UUID]]:
        """Keys and alarms of due calls whose phone is taken and that would rather skip than wait."""
        return [(key, alarm_id) for key, alarm_id in await self._database.query(_ENGAGED)]

    async def live(self, node: str) -> list[LiveCall]:
        return [LiveCall(*row) for row in await self._database.query(_LIVE, (node,))]

    async def by_channel(self, channel: str) -> tuple[UUID, UUID] | None:
        """Call and alarm of Asterisk's Uniqueid, if that call is not over in the record."""
        rows = await self._database.query(_BY_CHANNEL, (channel,))
        return (rows[0][0], rows[0][1]) if rows else None

    async def orphaned(self, seconds: float) -> list[tuple[UUID, UUID]]:
        """Calls (with their alarms) of nodes that nobody has driven for this long: what became of them is unknown."""
        return [(call_id, alarm_id) for call_id, alarm_id in await self._database.query(_ORPHANED, (seconds,))]

    async def withdraw(self, call_id: UUID) -> UUID | None:
        """Take back a call that nobody has claimed yet; returns its alarm, or None when it is too late for that.

        A second time gives the same answer: who died after the first has not told the alarm yet.
        """
        rows = await self._database.query(_WITHDRAW, (str(call_id),))
        return rows[0][0] if rows else None

    async def never_sent(self, call_id: UUID) -> None:
        """Asterisk is proven not to have this call: its command becomes due again, as if it had never been claimed."""
        async with self._database.transaction() as tx:
            await tx.together([(_FORGET, (call_id,)), (_DUE_AGAIN, (str(call_id),))], commit=True)

    async def write(self, *statements: Statement) -> None:
        async with self._database.transaction() as tx:
            await tx.together(statements, commit=True)

    async def briefing(self, call_id: UUID) -> Briefing | None:
        rows = await self._database.query(_BRIEFING, (call_id,))
        return Briefing(call_id, *rows[0]) if rows else None

    async def caller(self, number: str) -> tuple[UUID, UUID] | None:
        """The alarm and the contact that a caller from this number is about, if we dialled it within the hour."""
        rows = await self._database.query(_CALLER, (number,))
        return (rows[0][0], rows[0][1]) if rows else None


def place_call(claimed: Claimed) -> PlaceCall:
    assert isinstance(claimed.command, PlaceCall)
    return claimed.command
