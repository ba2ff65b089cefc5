"""What becomes of the calls of a node: AMI's events, in order, into the record. None is lost to a fault of Postgres."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

from alarm_core.commands import HangUp, Redirect
from alarm_core.events import CallAnswered, CallEnded, CallOutcome, CallRinging, Event
from alarm_core.store import calls as call_record
from alarm_core.store.alarms import Alarms
from alarm_core.store.calls import Calls, LiveCall
from alarm_core.store.commands import Claimed
from alarm_core.store.database import AWAY, Statement
from alarm_core.store.record import Happening
from ami.link import AmiError, AmiRefused, Link
from ami.outcome import outcome
from dialplan.records import FAMILY, LED_LEG, HangupRecord

log = logging.getLogger("careline.ami")

_T = TypeVar("_T")
_RETRY_SECONDS = 0.3
_NO_HANGUP_SECONDS = 1.0
"""After a failed Originate the hangup tells the cause; when none comes by then, there was no channel at all."""


@dataclass(slots=True)
class Tracked:
    """A call under way, as this process knows it."""

    call_id: UUID
    alarm_id: UUID
    channel: str
    trunk: str
    rang: bool = False
    answered: bool = False
    taken_back: bool = False


class Watch:
    """The calls under way on one node."""

    def __init__(self, alarms: Alarms, calls: Calls, phone_free: Callable[[], None] = lambda: None) -> None:
        """`phone_free` is called when a call's end is in the record: its phone may be called again."""
        self._alarms = alarms
        self._calls = calls
        self._phone_free = phone_free
        self._tracked: dict[str, Tracked] = {}
        self._led: dict[str, str] = {}
        self._unreachable: set[str] = set()
        self._last: dict[UUID, asyncio.Task[None]] = {}
        self.link: Link | None = None

    def live(self, trunk: str | None = None) -> int:
        """Lines in use, of one trunk or of all."""
        return sum(trunk is None or call.trunk == trunk for call in self._tracked.values())

    @property
    def led_to(self) -> list[str]:
        """Phones that the dialplan calls by itself just now, for a caller of no alarm."""
        return list(self._led.values())

    def track(self, call_id: UUID, alarm_id: UUID, channel: str, trunk: str) -> Tracked:
        return self._tracked.setdefault(channel, Tracked(call_id, alarm_id, channel, trunk))

    def untrack(self, channel: str) -> None:
        self._tracked.pop(channel, None)

    def forget_all(self) -> None:
        """A new connection begins: what is under way is learned from Asterisk itself."""
        self._tracked.clear()
        self._led.clear()
        self._unreachable.clear()

    def there_is(self, channel: Mapping[str, str]) -> None:
        """Take note of a channel that we did not ask for."""
        led = LED_LEG.match(channel.get("Channel", ""))
        if led is not None:
            self._led[channel["Uniqueid"]] = led[1]

    def heard(self, event: Mapping[str, str]) -> bool:
        """Take note of one AMI event; True when a line became free."""
        call = self._tracked.get(event.get("Uniqueid", ""))
        match event["Event"]:
            case "Newchannel" if call is None:
                self.there_is(event)
            case "ContactStatus":
                self._trunk_is(event.get("AOR", "").removesuffix("-status"), event.get("ContactStatus", ""))
            case "Newstate" if call is not None:
                self.state(call, event.get("ChannelStateDesc", ""))
            case "Hangup":
                return self._hangup(event, call)
            case "OriginateResponse" if event.get("Response") == "Failure":
                asyncio.get_running_loop().call_later(_NO_HANGUP_SECONDS, self._no_channel, event.get("ActionID", ""))
        return False

    def submit(self, alarm_id: UUID, event: Event, *also: Statement, key: str) -> asyncio.Task[None]:
        """Put an event into the record, after those submitted before for this alarm, however long Postgres is away."""
        happening = Happening(event, "ami", key)
        return self._in_turn(alarm_id, self._apply(alarm_id, happening, also))

    def ended(self, call: Tracked, result: CallOutcome, cause: int | None) -> asyncio.Task[None]:
        """The call is over: its line is free, its record complete."""
        self._tracked.pop(call.channel, None)
        log.info("alarm %s: call %s is over: %s", call.alarm_id, call.call_id, result)
        event = CallEnded(call_id=call.call_id, outcome=result, cause=cause)
        also = (call_record.ended(call.call_id, result, cause), call_record.sent(call.call_id))
        task = self.submit(call.alarm_id, event, *also, key=f"call_ended:{call.call_id}")
        task.add_done_callback(lambda _: self._clean(call.channel))
        return task

    def ended_by_record(self, call: Tracked, record: HangupRecord) -> asyncio.Task[None]:
        """It ended while nobody of us was listening; the dialplan wrote down how."""
        answered = call.answered or record.up or record.answered is not None
        result = outcome(record.cause, answered=answered, rang=call.rang, taken_back=call.taken_back)
        return self.ended(call, result, record.cause)

    def answered(self, call: Tracked) -> None:
        call.answered = True
        event = CallAnswered(call_id=call.call_id)
        written = call_record.answered(call.call_id)
        self.submit(call.alarm_id, event, written, key=f"call_answered:{call.call_id}")

    async def give_up(self, live: Sequence[LiveCall]) -> None:
        """Asterisk cannot be asked: the rules go on without knowing."""
        for item in live:
            if item.direction == "out" and item.command_state == "claimed":
                log.warning("call %s: it is not known whether it was placed", item.id)
            call = self.track(item.id, item.alarm_id, item.channel, item.trunk)
            await self.ended(call, CallOutcome.LOST, None)

    async def carry_out(self, link: Link, item: Claimed) -> None:
        """Hang up or redirect one call. That it is over already is no error."""
        command = item.command
        assert isinstance(command, HangUp | Redirect)
        channel = str(command.call_id)
        if isinstance(command, HangUp):
            alarm_id = await self._calls.withdraw(command.call_id)
            if alarm_id is not None:
                event = CallEnded(call_id=command.call_id, outcome=CallOutcome.CANCELLED)
                await self.submit(alarm_id, event, key=f"call_ended:{command.call_id}")
                return
        live = next((c for c in self._tracked.values() if c.call_id == command.call_id), None)
        if live is not None:
            channel = live.channel
        if isinstance(command, HangUp):
            if live is not None:
                live.taken_back = True
            await self.hang_up(link, channel)
            return
        with contextlib.suppress(AmiRefused):  # the caller has hung up meanwhile
            await link.redirect(channel, "door", "confirm")

    async def hang_up(self, link: Link, channel: str) -> None:
        """End a call; that it is over, or not yet known to Asterisk, is no error."""
        try:
            await link.hangup(channel)
        except AmiRefused:
            log.info("call %s: Asterisk has no such call", channel)

    def state(self, call: Tracked, state: str) -> None:
        """The state of its channel, as Asterisk names it."""
        if state in ("Ringing", "Ring") and not call.rang:
            call.rang = True
            event = CallRinging(call_id=call.call_id)
            written = call_record.ringing(call.call_id)
            self.submit(call.alarm_id, event, written, key=f"call_ringing:{call.call_id}")
        elif state == "Up" and not call.answered:
            self.answered(call)

    def _hangup(self, event: Mapping[str, str], call: Tracked | None) -> bool:
        cause = int(event.get("Cause") or 0)
        if self._led.pop(event.get("Uniqueid", ""), None) is not None:
            return True
        if call is None:
            self._in_turn(UUID(int=0), self._unknown_ended(event.get("Uniqueid", ""), cause))
            return False
        result = outcome(cause, answered=call.answered, rang=call.rang, taken_back=call.taken_back)
        if result is CallOutcome.NO_ANSWER and not call.rang and call.trunk in self._unreachable:
            result = CallOutcome.FAILED  # nobody was there to ring the phone
        self.ended(call, result, cause)
        return True

    def _trunk_is(self, trunk: str, status: str) -> None:
        if status == "Unreachable":
            self._unreachable.add(trunk)
        elif status == "Reachable":
            self._unreachable.discard(trunk)

    async def _unknown_ended(self, channel: str, cause: int) -> None:
        """A call that came in: the conversation wrote its row, or none (a caller of no alarm)."""
        found = await _patiently(lambda: self._calls.by_channel(channel))
        if found is not None:
            call = Tracked(found[0], found[1], channel, "", answered=True)
            self.ended(call, CallOutcome.COMPLETED, cause)

    def _no_channel(self, action_id: str) -> None:
        call = self._tracked.get(action_id)
        if call is not None and not call.rang and not call.answered:
            self.ended(call, CallOutcome.FAILED, None)

    def _clean(self, channel: str) -> None:
        """What the dialplan wrote down of the call is in the record now."""
        self._phone_free()
        link = self.link
        if link is not None and not link.lost.is_set():
            self._in_turn(UUID(int=1), _deleted(link, channel))

    def _in_turn(self, alarm_id: UUID, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(_after(self._last.get(alarm_id), work))
        self._last[alarm_id] = task
        task.add_done_callback(
            lambda done: self._last.pop(alarm_id, None) if self._last.get(alarm_id) is done else None
        )
        return task

    async def _apply(self, alarm_id: UUID, happening: Happening, also: Sequence[Statement]) -> None:
        await _patiently(lambda: self._alarms.apply(alarm_id, happening, also=also))


async def _patiently(work: Callable[[], Awaitable[_T]]) -> _T:
    """Do it, again and again while the database is away."""
    while True:
        try:
            return await work()
        except AWAY:
            log.warning("the database is away; an event waits")
            await asyncio.sleep(_RETRY_SECONDS)


async def _after(before: asyncio.Task[None] | None, work: Coroutine[Any, Any, None]) -> None:
    if before is not None:
        await asyncio.wait({before})
    await work


async def _deleted(link: Link, channel: str) -> None:
    try:
        await link.db_del(FAMILY, channel)
    except AmiError:
        log.debug("the hangup record of a call stays until the next reconciliation")
