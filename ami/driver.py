"""The ami role: drives one Asterisk node. It holds the node's lease, places the calls of the queue as lines and pace
allow, hears what becomes of each call, and after any break finds out what became of those it had placed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence

from alarm_core.store.alarms import Alarms
from alarm_core.store.calls import Calls, Lent
from alarm_core.store.commands import Claimed, Commands
from alarm_core.store.database import AWAY
from alarm_core.store.nodes import Nodes
from ami.limits import NodeLimits
from ami.link import AmiAddress, AmiError, Link
from ami.pace import Pace
from ami.placing import Placing, signalled
from ami.reconcile import reconcile
from ami.watch import Watch

log = logging.getLogger("careline.ami")

_RECONCILE_EVERY = 10.0
_POLL_SECONDS = 1.0
_HARMLESS = frozenset({"hang_up", "redirect"})


class NodeDriver:
    """Run one per node; a second one stands by and takes over when the first one's lease runs out."""

    def __init__(
        self,
        address: AmiAddress,
        limits: NodeLimits,
        *,
        nodes: Nodes,
        alarms: Alarms,
        calls: Calls,
        commands: Commands,
    ) -> None:
        self._address = address
        self._limits = limits
        self._nodes = nodes
        self._calls = calls
        self._commands = commands
        self._may_place = asyncio.Event()
        self._may_carry = asyncio.Event()
        self._watch = Watch(alarms, calls, self._may_place.set)
        self._placing: Placing | None = None
        self.driving = False
        self.link: Link | None = None
        self.pace = Pace(limits.calls_per_second, 0.0)
        alarms.on_commands.append(self.nudge)

    def nudge(self, kinds: frozenset[str] | None = None) -> None:
        """Something may be due: look at the queue now."""
        if kinds is None or "place_call" in kinds:
            self._may_place.set()
        if kinds is None or kinds & _HARMLESS:
            self._may_carry.set()

    def lend(self) -> Lent | None:
        """See `alarm_core.store.calls.Lines`."""
        return self._placing.lend() if self._placing is not None and self.driving else None

    def use(self, lent: Lent, claimed: Sequence[Claimed]) -> None:
        """See `alarm_core.store.calls.Lines`. On a lost line the calls are found by the next reconciliation."""
        if self._placing is not None:
            self._placing.use(lent, claimed)

    async def run(self) -> None:
        """Hold the lease and drive, for ever."""
        while True:
            try:
                left = await self._nodes.take()
                if left is not None:
                    await asyncio.sleep(min(max(left, 0.02), self._nodes.lease_seconds))
                    continue
                await self._drive()
            except AWAY as error:
                log.warning("the database is away (%s): no call is placed until it is back", type(error).__name__)
                await asyncio.sleep(0.5)
            finally:
                self.driving = False

    async def stop(self) -> None:
        """Give the lease back, so that a successor need not wait for its end."""
        try:
            await self._nodes.give_back()
        except AWAY:
            log.info("the lease of %s could not be given back; it runs out by itself", self._nodes.node)

    async def _drive(self) -> None:
        """While the lease is ours: connect, reconcile, place."""
        log.info("driving %s", self._nodes.node)
        keeper = asyncio.create_task(self._keep_lease())
        connected = asyncio.create_task(self._stay_connected())
        try:
            done, _ = await asyncio.wait({keeper, connected}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in (keeper, connected):
                task.cancel()
            await asyncio.gather(keeper, connected, return_exceptions=True)
            if self.link is not None:
                await self.link.close()
                self.link = None

    async def _keep_lease(self) -> None:
        """Renew; returns when another process has the node."""
        while True:
            await asyncio.sleep(self._nodes.lease_seconds / 3)
            async with asyncio.timeout(self._nodes.lease_seconds / 2):
                if await self._nodes.take() is not None:
                    log.warning("another process drives %s now", self._nodes.node)
                    return
                await self._nodes.note_rate(self.pace.rate)

    async def _stay_connected(self) -> None:
        """One link after another; each begins with finding out what became of the calls."""
        loop = asyncio.get_running_loop()
        away_since = loop.time()
        given_up = False
        while True:
            try:
                self.link = await Link.open(self._address, self._heard)
            except AmiError as error:
                if not given_up:
                    log.warning("no line to Asterisk: %s; trying again", error)
                if loop.time() - away_since > self._limits.lost_after_seconds and not given_up:
                    given_up = True
                    await self._watch.give_up(await self._calls.live(self._nodes.node))
                await asyncio.sleep(0.3)
                continue
            given_up = False
            try:
                await self._work(self.link)
            except AmiError as error:
                log.warning("the line to Asterisk broke: %s", error)
            finally:
                await self.link.close()
                self.driving = False
                away_since = loop.time()

    async def _work(self, link: Link) -> None:
        await reconcile(link, self._watch, self._calls, self._nodes.node, fresh=True)
        self.pace = Pace(self._limits.calls_per_second, asyncio.get_running_loop().time())
        placing = self._placing = Placing(link, self._limits, self.pace, self._watch, self._calls, self._nodes)
        self.driving = True
        tasks = {
            asyncio.create_task(placing.run(self._may_place)),
            asyncio.create_task(self._carry_out(link)),
            asyncio.create_task(self._reconcile_often(link)),
            asyncio.create_task(link.wait_lost()),
        }
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _carry_out(self, link: Link) -> None:
        """Hang-ups and redirects: harmless to repeat, so a lease that ran out may be taken over blindly."""
        while True:
            self._may_carry.clear()
            claimed, seconds = await self._commands.claim(sorted(_HARMLESS), 50)
            for item in claimed:
                await self._watch.carry_out(link, item)
                await self._commands.finish(item)
            if not claimed:
                await signalled(self._may_carry, _POLL_SECONDS if seconds is None else min(seconds, _POLL_SECONDS))

    async def _reconcile_often(self, link: Link) -> None:
        """A net below the events: what was missed is found out within seconds."""
        while True:
            await asyncio.sleep(_RECONCILE_EVERY)
            await reconcile(link, self._watch, self._calls, self._nodes.node, fresh=False)

    def _heard(self, event: Mapping[str, str]) -> None:
        if self._watch.heard(event):
            self._may_place.set()
