"""Takes calls from the queue as fast as lines and pace allow, and has Asterisk place them."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Sequence
from uuid import UUID

from alarm_core.events import CallEnded, CallOutcome, CallPlaced
from alarm_core.numbers import is_emergency
from alarm_core.store import calls as call_record
from alarm_core.store.calls import Calls, Lent, place_call
from alarm_core.store.commands import Claimed
from alarm_core.store.nodes import Nodes
from ami.limits import NodeLimits
from ami.link import AmiInvalid, AmiLost, AmiRefused, AmiTimeout, Link
from ami.pace import Pace
from ami.watch import Watch
from dialplan.records import HANDLER, PHONE_GROUP

log = logging.getLogger("careline.ami")

_DIALABLE = re.compile(r"[0-9]{3,20}")
_POLL_SECONDS = 1.0
_CLAIM_LEASE_SECONDS = 60.0
_LEND = 8
"""So many calls at most are claimed by one opening transaction: a lone alarm's, not a flood's."""


async def signalled(event: asyncio.Event, seconds: float) -> None:
    """Until the event is set, at most so long. Clear it before looking at what it announces, not after."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return


class Placing:
    """Works on one connection to Asterisk, as long as it and the node's lease last."""

    def __init__(
        self,
        link: Link,
        limits: NodeLimits,
        pace: Pace,
        watch: Watch,
        calls: Calls,
        nodes: Nodes,
    ) -> None:
        self._link = link
        self._limits = limits
        self._pace = pace
        self._watch = watch
        self._calls = calls
        self._nodes = nodes
        self._loop = asyncio.get_running_loop()
        self._trunk_pace = {trunk.name: Pace(trunk.calls_per_second, self._loop.time()) for trunk in limits.trunks}
        self._under_way: set[asyncio.Task[None]] = set()
        self._lent: list[Lent] = []
        self._nobody_waits = False

    async def run(self, may_place: asyncio.Event) -> None:
        while True:
            may_place.clear()
            self._nobody_waits = False  # until this look at the queue is over: its lines are spoken for
            self._pace.judge(self._link.last_latency, self._loop.time())
            more, dry, patience = False, False, _POLL_SECONDS
            for trunk in self._limits.trunks:
                lines = self._lines(trunk.name, trunk.max_channels)
                if lines <= 0:
                    continue  # one that gets free announces itself
                now = self._loop.time()
                paces = (self._pace, self._trunk_pace[trunk.name])
                allowed = min(pace.available(now) for pace in paces)
                if allowed > 0:
                    room = min(lines, allowed)
                    filled = await self._take(trunk.name, room) == room
                    more, dry = more or filled, dry or not filled
                else:
                    patience = min(patience, max(pace.wait_seconds(now) for pace in paces))
            self._nobody_waits = dry
            await asyncio.sleep(0)  # what was taken goes to Asterisk before anything else is asked
            if not more:
                await self._pass_over_engaged()
                await signalled(may_place, patience)

    def _lines(self, trunk: str, max_channels: int) -> int:
        """How many lines of a trunk are free."""
        lent = sum(leave.room for leave in self._lent)
        used, used_here = self._watch.live() + lent, self._watch.live(trunk) + lent
        return min(self._limits.max_channels - used, max_channels - used_here)

    def lend(self) -> Lent | None:
        """See `alarm_core.store.calls.Lines`: only while no call waits for a line, so that none is overtaken."""
        if not self._nobody_waits or not self._nodes.held or self._link.lost.is_set():
            return None
        now = self._loop.time()
        for trunk in self._limits.trunks:
            paces = (self._pace, self._trunk_pace[trunk.name])
            room = min(self._lines(trunk.name, trunk.max_channels), _LEND, *(pace.available(now) for pace in paces))
            if room > 0:
                self._spend(trunk.name, room)
                nodes, taken = self._nodes, tuple(self._watch.led_to)
                lent = Lent(nodes.node, nodes.owner, trunk.name, room, _CLAIM_LEASE_SECONDS, taken)
                self._lent.append(lent)
                return lent
        return None

    def use(self, lent: Lent, claimed: Sequence[Claimed]) -> None:
        if not any(leave is lent for leave in self._lent):
            return  # lent on a connection that is over: the reconciliation finds these calls never sent
        self._lent = [leave for leave in self._lent if leave is not lent]
        self._spend(lent.trunk, len(claimed) - lent.room)
        self._start(claimed, lent.trunk)

    def _spend(self, trunk: str, calls: int) -> None:
        self._pace.spend(calls)
        self._trunk_pace[trunk].spend(calls)

    async def _take(self, trunk: str, room: int) -> int:
        claimed = await self._calls.claim(
            node=self._nodes.node,
            owner=self._nodes.owner,
            trunk=trunk,
            limit=room,
            lease_seconds=_CLAIM_LEASE_SECONDS,
            taken=self._watch.led_to,
        )
        self._spend(trunk, len(claimed))
        self._start(claimed, trunk)
        return len(claimed)

    def _start(self, claimed: Sequence[Claimed], trunk: str) -> None:
        for item in claimed:
            place = place_call(item)
            self._watch.track(place.call_id, item.alarm_id, place.key, trunk)
            task = asyncio.create_task(self._place(item, trunk))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def _place(self, item: Claimed, trunk: str) -> None:
        place = place_call(item)
        call = self._watch.track(place.call_id, item.alarm_id, place.key, trunk)
        if is_emergency(place.number):
            log.error("call %s: an emergency number is never called by a machine", place.call_id)
            self._watch.ended(call, CallOutcome.BLOCKED, None)
            return
        if not _DIALABLE.fullmatch(place.number):
            log.error("call %s: what stands as its number is none", place.call_id)
            self._watch.ended(call, CallOutcome.INVALID, None)
            return
        if call.taken_back:
            self._watch.ended(call, CallOutcome.CANCELLED, None)
            return
        if not self._nodes.held:
            return  # whoever holds the lease now finds out that this call was never sent
        try:
            await self._link.originate(
                channel=f"PJSIP/{place.number}@{trunk}",
                context="door",
                exten=place.purpose.value,
                caller_id=self._limits.caller_id,
                timeout_ms=round(place.ring_seconds * 1000),
                channel_id=place.key,
                variables={
                    "CARELINE_CALL": place.key,
                    "CHANNEL(hangup_handler_push)": HANDLER,
                    PHONE_GROUP: place.number,
                },
            )
        except (AmiRefused, AmiInvalid) as error:
            log.warning("call %s: Asterisk refused it: %s", place.call_id, error)
            self._watch.ended(call, CallOutcome.FAILED, None)
        except AmiTimeout:
            log.warning("call %s: no answer to Originate; asking what became of it", place.call_id)
            await self._link.close()
        except AmiLost:
            return  # the next connection finds out what became of it
        else:
            log.info("alarm %s: call %s to the %s (%s) goes out", item.alarm_id, place.key, place.party, place.purpose)
            event = CallPlaced(call_id=place.call_id)
            written = call_record.sent(place.call_id)
            self._watch.submit(item.alarm_id, event, written, key=f"call_placed:{place.call_id}")
            if call.taken_back:  # while it was on its way to Asterisk
                await self._watch.hang_up(self._link, place.key)

    async def _pass_over_engaged(self) -> None:
        """A contact whose phone is taken by another alarm: the next contact has the turn."""
        for key, alarm_id in await self._calls.engaged():
            event = CallEnded(call_id=UUID(key), outcome=CallOutcome.ENGAGED)
            await self._watch.submit(alarm_id, event, call_record.dropped(key), key=f"call_ended:{key}")
