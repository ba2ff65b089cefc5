"""The worker role: wakes that are due, devices that fell silent, calls of nodes that nobody drives any more."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from alarm_core.commands import Wake
from alarm_core.events import CallEnded, CallOutcome, WakeDue
from alarm_core.signal import Intake
from alarm_core.store import calls as call_record
from alarm_core.store.alarms import Alarms
from alarm_core.store.calls import Calls
from alarm_core.store.commands import Claimed, Commands
from alarm_core.store.database import AWAY
from alarm_core.store.devices import Devices
from alarm_core.store.record import Happening

log = logging.getLogger("careline.worker")

_BATCH = 50
_LONGEST_SLEEP = 5.0
_SETTLE_SECONDS = 0.02
_ORPHAN_LEASES = 4


class Worker:
    """Any number may run side by side."""

    def __init__(
        self,
        *,
        alarms: Alarms,
        calls: Calls,
        commands: Commands,
        devices: Devices,
        intake: Intake,
        sweep_seconds: float = 10.0,
        keep_heartbeats_days: int = 14,
    ) -> None:
        self._alarms = alarms
        self._calls = calls
        self._commands = commands
        self._devices = devices
        self._intake = intake
        self._sweep_seconds = sweep_seconds
        self._keep_heartbeats_days = keep_heartbeats_days
        self._nudged = asyncio.Event()
        alarms.on_commands.append(self.nudge)

    def nudge(self, kinds: frozenset[str] | None = None) -> None:
        """A wake was written somewhere: it may be due before the one that is slept for."""
        if kinds is None or "wake" in kinds:
            self._nudged.set()

    async def run(self) -> None:
        await asyncio.gather(
            self._wake(),
            self._often(self._raise_silent_devices, self._sweep_seconds),
            self._often(self._give_up_orphans, self._commands.lease_seconds),
            self._often(lambda: self._devices.forget_heartbeats(self._keep_heartbeats_days), 3600.0),
        )

    async def _wake(self) -> None:
        """Sleep until the next wake is due; a shorter one that is written meanwhile ends the sleep."""
        while True:
            self._nudged.clear()
            try:
                claimed, seconds = await self._commands.claim(("wake",), _BATCH)
                await asyncio.gather(*(self._due(item) for item in claimed))
            except AWAY as error:
                log.warning("the database is away (%s)", type(error).__name__)
                await asyncio.sleep(0.3)
                continue
            if not claimed:
                await self._sleep(_LONGEST_SLEEP if seconds is None else min(seconds, _LONGEST_SLEEP))

    async def _sleep(self, seconds: float) -> None:
        """Until the next wake is due, or until a new one was written; then a moment longer, but not past the due one.

        What was just written is hardly ever due at once, and whoever wrote it has more urgent things to send.
        """
        try:
            async with asyncio.timeout(seconds):
                await self._nudged.wait()
                await asyncio.sleep(_SETTLE_SECONDS)
        except TimeoutError:
            return

    async def _due(self, item: Claimed) -> None:
        assert isinstance(item.command, Wake)
        event = WakeDue(name=item.command.name, key=item.command.key)
        await self._alarms.apply(item.alarm_id, Happening(event, "clock", f"wake:{event.key}"), also=[item.finished])

    async def _raise_silent_devices(self) -> None:
        while signals := await self._devices.overdue():
            await self._intake.take(signals)
            await self._devices.mark_silent(signals)
            log.info("%d devices fell silent", len(signals))

    async def _give_up_orphans(self) -> None:
        """No driver has held their node for several leases: the rules go on without them."""
        for call_id, alarm_id in await self._calls.orphaned(self._commands.lease_seconds * _ORPHAN_LEASES):
            log.warning("call %s: its node has no driver", call_id)
            event = CallEnded(call_id=call_id, outcome=CallOutcome.LOST)
            written = [call_record.ended(call_id, CallOutcome.LOST, None), call_record.sent(call_id)]
            await self._alarms.apply(alarm_id, Happening(event, "worker", f"call_ended:{call_id}"), also=written)

    async def _often(self, work: Callable[[], Awaitable[None]], seconds: float) -> None:
        while True:
            try:
                await work()
            except AWAY as error:
                log.warning("the database is away (%s)", type(error).__name__)
            await asyncio.sleep(seconds)
