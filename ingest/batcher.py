"""Batches: what is waiting goes into one transaction; a message that comes alone goes alone, at once.

Two lanes run side by side, so that an alarm never waits behind heartbeats, not even behind the batch of them that is
being committed. While the database is away a lane holds its batch and tries for ever; nothing is acknowledged, so the
broker keeps the rest.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from alarm_core.signal import Intake, Receipt
from ingest import metrics
from ingest.message import Message
from ingest.storing import Unstorable, is_away, take_one

log = logging.getLogger("careline.ingest")

MAX_BATCH = 500
"""Messages in one transaction."""

MAX_BATCH_BYTES = 4 * 1024 * 1024
FIRST_WAIT = 0.05
LONGEST_WAIT = 5.0
"""Seconds between attempts while the database is away."""


@dataclass(eq=False, slots=True)
class Delivery:
    """A message and whom to tell when it is committed. `committed` is called once, in the loop's thread."""

    message: Message
    committed: Callable[[Sequence[Receipt]], None]
    done: bool = False

    def settle(self, receipts: Sequence[Receipt]) -> None:
        """Say that the message is in the record."""
        self.done = True
        metrics.count_receipts(self.message, receipts)
        self.committed(receipts)


class Batcher:
    """Takes deliveries into the record, urgent ones in a lane of their own. Use it in one event loop."""

    def __init__(self, intake: Intake, *, max_batch: int = MAX_BATCH) -> None:
        self._urgent = _Lane("urgent", intake, max_batch)
        self._usual = _Lane("usual", intake, max_batch)

    def put(self, delivery: Delivery) -> None:
        """Hand over a delivery; returns at once. Order is kept within a lane."""
        (self._urgent if delivery.message.urgent else self._usual).put(delivery)

    @property
    def trouble(self) -> str | None:
        """Why nothing can be committed at the moment, or None."""
        return self._urgent.trouble or self._usual.trouble

    async def run(self) -> None:
        """Work until cancelled. A batch in its transaction is given up: it was not acknowledged and comes again."""
        async with asyncio.TaskGroup() as lanes:
            lanes.create_task(self._urgent.run(), name="ingest-urgent")
            lanes.create_task(self._usual.run(), name="ingest-usual")


class _Lane:
    def __init__(self, name: str, intake: Intake, max_batch: int) -> None:
        self.trouble: str | None = None
        self._name = name
        self._intake = intake
        self._max_batch = max_batch
        self._waiting: deque[Delivery] = deque()
        self._arrived = asyncio.Event()

    def put(self, delivery: Delivery) -> None:
        self._waiting.append(delivery)
        self._arrived.set()

    async def run(self) -> None:
        while True:
            await self._arrived.wait()
            await self._commit(self._next_batch())
            if not self._waiting:
                self._arrived.clear()

    def _next_batch(self) -> list[Delivery]:
        batch: list[Delivery] = []
        size = 0
        while self._waiting and len(batch) < self._max_batch and size < MAX_BATCH_BYTES:
            delivery = self._waiting.popleft()
            size += len(delivery.message.payload)
            batch.append(delivery)
        return batch

    async def _commit(self, batch: list[Delivery]) -> None:
        """Commit every delivery of the batch, however long the database is away."""
        wait = FIRST_WAIT
        while batch:
            try:
                await self._store(batch)
            except Exception as error:
                if not is_away(error):
                    raise  # a mistake of ours: let the supervisor see it; nothing was acknowledged
                metrics.RETRIES.inc()
                if self.trouble is None:
                    # The class only: a database's message can quote a row.
                    log.warning("%s lane: waiting for the database: %s", self._name, _name(error))
                self.trouble = f"waiting for the database: {_name(error)}"
                await asyncio.sleep(wait)
                wait = min(wait * 2, LONGEST_WAIT)
            else:
                if self.trouble is not None:
                    log.info("%s lane: the database is back", self._name)
                self.trouble = None
            batch = [delivery for delivery in batch if not delivery.done]

    async def _store(self, batch: Sequence[Delivery]) -> None:
        """One transaction for all; if the data of one spoil it, halve until that one stands alone."""
        items = [item for delivery in batch for item in delivery.message.items]
        if len(batch) == 1:
            await self._store_one(batch[0])
            return
        started = time.monotonic()
        try:
            receipts = iter(await self._intake.take(items)) if items else iter(())
        except Exception as error:
            if is_away(error):
                raise
            half = len(batch) // 2
            await self._store(batch[:half])
            await self._store(batch[half:])
            return
        metrics.BATCH_SIZE.observe(len(items))
        metrics.BATCH_SECONDS.observe(time.monotonic() - started)
        for delivery in batch:
            delivery.settle([next(receipts) for _ in delivery.message.items])

    async def _store_one(self, delivery: Delivery) -> None:
        started = time.monotonic()
        try:
            receipts = await take_one(self._intake, delivery.message)
        except Unstorable as error:
            metrics.STUCK.inc()
            log.critical("a message can be neither recorded nor quarantined; kept for later: %s", error)
            # Not acknowledged, not lost, and not in the way: it queues again when others had their turn.
            delivery.done = True
            asyncio.get_running_loop().call_later(LONGEST_WAIT, self._again, delivery)
            return
        metrics.BATCH_SIZE.observe(len(delivery.message.items))
        metrics.BATCH_SECONDS.observe(time.monotonic() - started)
        delivery.settle(receipts)

    def _again(self, delivery: Delivery) -> None:
        delivery.done = False
        self.put(delivery)


def _name(error: Exception) -> str:
    return type(getattr(error, "orig", None) or error).__name__
