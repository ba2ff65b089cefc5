"""An `Intake` without a database: to try the way in, and to measure it alone. Nothing of the service uses it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from uuid import UUID, uuid4

from alarm_core.signal import Incoming, Receipt, Rejected, Signal, SignalState, Taken


class MemoryIntake:
    """Keeps what it takes, as the real store would: all of a batch or nothing, one device's id once.

    `delay`: seconds that a commit lasts. `fault`: looks at a batch and may return the error that its commit raises.
    """

    def __init__(
        self, *, delay: float = 0.0, fault: Callable[[Sequence[Incoming]], Exception | None] = lambda batch: None
    ) -> None:
        self.delay = delay
        self.fault = fault
        self.signals: dict[tuple[str, str], Signal] = {}
        self.alarms: dict[tuple[str, str], UUID] = {}
        self.rejected: list[Rejected] = []
        self.batches: list[list[Incoming]] = []
        """Every batch that was offered, also the failed ones."""

    async def take(self, batch: Sequence[Incoming]) -> list[Receipt]:
        """Keep the batch after `delay`."""
        self.batches.append(list(batch))
        await asyncio.sleep(self.delay)
        error = self.fault(batch)
        if error is not None:
            raise error
        return [self._keep(item) for item in batch]

    def _keep(self, item: Incoming) -> Receipt:
        if isinstance(item, Rejected):
            self.rejected.append(item)
            return Receipt(Taken.QUARANTINED, reason=item.reason)
        name = (item.device_id, item.message_id)
        taken = Taken.DUPLICATE if name in self.signals else Taken.ACCEPTED
        self.signals.setdefault(name, item)
        if item.state is SignalState.ALARM:
            self.alarms.setdefault(name, uuid4())
        return Receipt(taken, alarm_id=self.alarms.get(name))
