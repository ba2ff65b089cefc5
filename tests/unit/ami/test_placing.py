"""How fast calls are taken from the queue: as the pace allows, and not in jumps of the poll."""

from __future__ import annotations

import asyncio
from typing import Any, cast
from uuid import UUID, uuid4

from alarm_core.commands import Party, PlaceCall, Purpose
from alarm_core.store.alarms import Alarms
from alarm_core.store.calls import Calls
from alarm_core.store.commands import Claimed
from alarm_core.store.nodes import Nodes
from ami.limits import NodeLimits, TrunkLimit
from ami.link import Link
from ami.pace import Pace
from ami.placing import Placing
from ami.watch import Watch

ALARM = UUID(int=7)


class Queue:
    """A queue of due calls without end; notes when it was asked, and is slow where Postgres is."""

    def __init__(self, calls: int = 1000) -> None:
        self.left = calls
        self.asked = 0
        self.seconds = 0.001

    async def claim(self, *, limit: int, **_: object) -> list[Claimed]:
        self.asked += 1
        await asyncio.sleep(self.seconds)
        count = min(limit, self.left)
        self.left -= count
        return [Claimed(ALARM, _call(), "owner", 1) for _ in range(count)]

    async def engaged(self) -> list[Any]:
        await asyncio.sleep(0.05)  # long enough for the pace to allow the next call meanwhile
        return []


class Asterisk:
    """Accepts every call; none ever ends."""

    last_latency = 0.0

    def __init__(self) -> None:
        self.placed = 0
        self.lost = asyncio.Event()

    async def originate(self, **_: object) -> None:
        self.placed += 1


class Node:
    node, owner, held = "node-1", "owner", True


class QuietWatch(Watch):
    """Tracks lines, writes nothing."""

    def submit(self, *_: object, **__: object) -> asyncio.Task[None]:
        return asyncio.create_task(asyncio.sleep(0))


def _call() -> PlaceCall:
    return PlaceCall(
        call_id=uuid4(),
        party=Party.CONTACT,
        purpose=Purpose.CONFIRM,
        who=None,
        number="13900000101",
        ring_seconds=20,
        head_start_seconds=0,
        if_engaged="wait",
    )


def _placing(queue: Queue, *, lines: int, rate: float = 100, asterisk: Asterisk | None = None) -> Placing:
    limits = NodeLimits(lines, rate, (TrunkLimit("trunk", lines, rate),), "4008001234")
    calls, alarms, nodes = cast(Calls, queue), cast(Alarms, None), cast(Nodes, Node())
    watch = QuietWatch(alarms, calls)
    pace = Pace(rate, asyncio.get_running_loop().time())
    return Placing(cast(Link, asterisk or Asterisk()), limits, pace, watch, calls, nodes)


async def _placed_within(seconds: float, queue: Queue, *, rate: float, lines: int = 1000) -> int:
    asterisk = Asterisk()
    placing = _placing(queue, lines=lines, rate=rate, asterisk=asterisk)
    running = asyncio.create_task(placing.run(asyncio.Event()))
    await asyncio.sleep(seconds)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    return asterisk.placed


async def test_a_full_queue_is_taken_as_fast_as_the_pace_allows() -> None:
    placed = await _placed_within(1.5, Queue(), rate=20)

    assert 20 <= placed <= 32, "1 at once and 20 a second; waiting for the poll it was 4 a second"


async def test_a_queue_never_exceeds_the_lines() -> None:
    assert await _placed_within(0.5, Queue(), rate=100, lines=5) == 5


async def test_an_empty_queue_is_asked_by_the_poll_only() -> None:
    queue = Queue(calls=0)

    await _placed_within(0.5, queue, rate=100)

    assert queue.asked == 1


async def test_lines_are_lent_only_while_no_call_waits_and_never_twice() -> None:
    """An alarm's first call may be claimed as the alarm opens: within lines and pace, and overtaking nobody."""
    placing = _placing(Queue(calls=0), lines=3)
    assert placing.lend() is None  # the queue has not been looked at yet
    running = asyncio.create_task(placing.run(asyncio.Event()))
    await asyncio.sleep(0.2)
    lent = placing.lend()
    assert lent is not None
    assert lent.room == 3
    assert placing.lend() is None
    placing.use(lent, [])
    again = placing.lend()
    assert again is not None
    placing.use(lent, [])  # given back already: gives no line a second time
    assert placing.lend() is None
    running.cancel()


async def test_no_line_is_lent_while_the_queue_is_being_asked() -> None:
    """The lines that are free now may be the queue's in a moment."""
    queue, asked = Queue(calls=0), asyncio.Event()
    placing = _placing(queue, lines=3)
    running = asyncio.create_task(placing.run(asked))
    await asyncio.sleep(0.2)
    queue.seconds = 0.3
    asked.set()
    await asyncio.sleep(0.1)
    assert placing.lend() is None
    await asyncio.sleep(0.4)
    assert placing.lend() is not None
    running.cancel()


async def test_no_line_is_lent_while_calls_wait() -> None:
    placing = _placing(Queue(calls=1000), lines=3)
    running = asyncio.create_task(placing.run(asyncio.Event()))
    await asyncio.sleep(0.2)
    assert placing.lend() is None
    running.cancel()
