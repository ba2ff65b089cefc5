"""What happens at each door: who is on this call, which conversation is held, and what comes of it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar
from urllib.parse import parse_qs, urlsplit
from uuid import NAMESPACE_OID, UUID, uuid4, uuid5

from agi.interpreter import Interpreter
from agi.session import CallerGone, Session
from alarm_core.alarm import Alarm
from alarm_core.commands import Purpose
from alarm_core.events import CalledIn, Event
from alarm_core.numbers import NumberError, dialable
from alarm_core.store import calls as call_record
from alarm_core.store.alarms import Alarms
from alarm_core.store.calls import Briefing, Calls
from alarm_core.store.database import AWAY
from alarm_core.store.record import Happening
from ivr.conversations import BY_PURPOSE, Call
from ivr.sounds import Part, Prompt, sound_name
from ivr.steps import Next, Verdict

log = logging.getLogger("careline.agi")

_T = TypeVar("_T")
_RECORD_SECONDS = 20.0
"""How long a caller is kept while the database is away; then the dialplan's fall-back takes the call."""


class Speaker(Protocol):
    """Renders what is not known ahead: names and addresses."""

    async def ensure(self, text: str) -> str | None:
        """The name of a sound that says the text, or None when it cannot be said."""
        ...


@dataclass(frozen=True, slots=True)
class _Guest:
    """A call with its alarm, as it stood when the door opened."""

    briefing: Briefing
    alarm: Alarm


class Doors:
    """The handler of the FastAGI server. Each call runs in a thread; the record lives on the event loop."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, alarms: Alarms, calls: Calls, speaker: Speaker, node: str
    ) -> None:
        self._loop = loop
        self._alarms = alarms
        self._calls = calls
        self._speaker = speaker
        self._node = node
        self._spoken: dict[str, str | None] = {}

    def handle(self, session: Session) -> None:
        """Hold the conversation of this door. What goes wrong here is raised: then the dialplan's fall-back acts."""
        door = urlsplit(session.path)
        if door.path == "inbound":
            self._inbound(session)
            return
        call_id = UUID(parse_qs(door.query)["call"][0])
        guest = self._wait(lambda: self._find(call_id))
        if guest is None:
            raise LookupError(f"call {call_id} is not in the record")
        self._converse(session, guest)

    def _inbound(self, session: Session) -> None:
        """A contact who calls back is put straight into the question; anybody else is led to the duty phone."""
        guest = self._wait(lambda: self._called_back(session))
        if guest is None:
            session.set("CARELINE_NEXT", "duty")
            return
        session.answer()
        self._converse(session, guest)

    def _converse(self, session: Session, guest: _Guest) -> None:
        returned = session.get("CARELINE_RETURNED") == "1"
        call = _call(guest, returned=returned)
        talk, serial = uuid4().hex[:12], 0  # a call may be led back into its conversation: that is another one

        def commit(event: Event, keys: str) -> Verdict:
            nonlocal serial
            serial += 1
            key = f"{event.type}:{call.id}:{talk}:{serial}"
            return self._wait(lambda: self._report(guest, Happening(event, "conversation", key), keys))

        interpreter = Interpreter(session, self._resolve, commit)
        self._prepare(call)
        try:
            after = interpreter.run(BY_PURPOSE[Purpose(guest.briefing.purpose)](call))
        except CallerGone:
            log.info("call %s: hung up in the middle", call.id)
            return
        finally:
            if interpreter.keys:
                keys = interpreter.keys
                self._wait(lambda: self._calls.write(call_record.pressed(call.id, keys)))
        if after is Next.ROOM:
            session.set("CARELINE_ROOM", guest.alarm.id.hex)
            session.set("CARELINE_RETURNED", "1")
        session.set("CARELINE_NEXT", after.value)

    async def _find(self, call_id: UUID) -> _Guest | None:
        briefing = await self._calls.briefing(call_id)
        if briefing is None:
            return None
        return _Guest(briefing, await self._alarms.load(briefing.alarm_id))

    async def _called_back(self, session: Session) -> _Guest | None:
        try:
            number = dialable(session.caller_id)
        except NumberError:
            return None
        found = await self._calls.caller(number)
        if found is None:
            return None
        alarm_id, who = found
        # Made of the channel: tried again after a fault of the database, it is the same call.
        call_id = uuid5(NAMESPACE_OID, f"{self._node}:{session.unique_id}")
        written = call_record.inbound(call_id, alarm_id, session.unique_id, who, number, "", self._node)
        event = CalledIn(call_id=call_id, who=who)
        alarm = await self._alarms.apply(
            alarm_id, Happening(event, "conversation", f"called_in:{call_id}"), also=[written]
        )
        leg = alarm.legs.get(call_id)
        purpose = leg.purpose if leg is not None else Purpose.CONFIRM
        return _Guest(Briefing(call_id, alarm_id, purpose, who, "contact"), alarm)

    async def _report(self, guest: _Guest, happening: Happening, keys: str) -> Verdict:
        pressed = [call_record.pressed(guest.briefing.call_id, keys)] if keys else []
        alarm = await self._alarms.apply(guest.alarm.id, happening, also=pressed)
        others = any(who != guest.briefing.who for who in alarm.helpers)
        waiting = any(leg.state == "waiting" for leg in alarm.legs.values())
        return Verdict(
            open=alarm.open,
            still_sent=alarm.open,
            others_going=others,
            room=alarm.id.hex if waiting else None,
        )

    def _prepare(self, call: Call) -> None:
        """Have everything that is not known ahead rendered before the first word."""
        texts = [text for text in (call.elder_name, call.address, call.way_in, call.device_id) if text]

        async def render() -> list[str | None]:
            return await asyncio.gather(*(self._speaker.ensure(text) for text in texts))

        for text, sound in zip(texts, self._run(render()), strict=True):
            self._spoken[text] = sound
        while len(self._spoken) > 10_000:
            self._spoken.pop(next(iter(self._spoken)))

    def _resolve(self, parts: Sequence[Part]) -> list[str]:
        """Names of sounds; what could not be rendered is left out: the rest of the sentence still helps."""
        sounds = [sound_name(p) if isinstance(p, Prompt) else self._spoken.get(p.text) for p in parts]
        return [sound for sound in sounds if sound is not None]

    def _wait(self, work: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
        """Do it, and again while the database is away: nobody is thanked before the commit."""
        deadline = time.monotonic() + _RECORD_SECONDS
        while True:
            try:
                return self._run(work())
            except AWAY:
                if time.monotonic() > deadline:
                    raise
                log.warning("the database is away while a caller waits; trying again")
                time.sleep(0.3)

    def _run(self, work: Awaitable[_T]) -> _T:
        async def awaited() -> _T:
            return await work

        return asyncio.run_coroutine_threadsafe(awaited(), self._loop).result()


def _call(guest: _Guest, *, returned: bool) -> Call:
    alarm, briefing = guest.alarm, guest.briefing
    helper = alarm.helpers.get(briefing.who) if briefing.who else None
    return Call(
        id=briefing.call_id,
        who=briefing.who,
        kind=alarm.kind,
        elder_name=alarm.brief.elder_name,
        address=alarm.brief.address,
        way_in=alarm.brief.way_in,
        elder_said=alarm.elder.result,
        arrived=helper is not None and helper.arrived,
        returned=returned,
        duty_reason=alarm.duty.reason,
        device_id="" if alarm.brief.elder_id else alarm.device_id,
        over=not alarm.open,
    )
