"""Figure 4: finished contact calls per second, beside the same prompts and digits in plain dialplan.

Same node, same trunk, same lines, same phones: each presses 1, then 15#, and listens to the end. Ours adds the queue,
the claim, FastAGI, and a commit before each answer is spoken.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Mapping
from datetime import datetime
from statistics import median

from alarm_core.planbook import PlanBook
from alarm_core.signal import Signal, SignalState
from alarm_core.store.alarms import Alarms
from alarm_core.store.database import Database
from alarm_core.store.intake import Service, SignalIntake
from ami.link import Link
from service.app import Role
from tests.bench.report import Figure, Ratio
from tests.bench.rig import ADDRESS, NAME, WAY_IN, Rig, people

# The bare side. The phone presses its key within the first prompt: the rest of the story is never heard by either.
EXTENSIONS = """
[bench-contact]
exten => s,1,Read(KEY,careline/contact.greeting&careline/contact.elder_is&careline/contact.keys,1,,2,5)
 same => n,GotoIf($["${KEY}" != "1"]?end)
 same => n,Read(MINUTES,careline/contact.minutes,3,,2,5)
 same => n,Playback(careline/contact.thanks)
 same => n,UserEvent(BenchDone,Minutes: ${MINUTES})
 same => n(end),Hangup()
"""
_RATE = 30.0  # calls placed per second at most, on both sides: the lines are the limit
_FINISHED = """
SELECT count(*), extract(epoch FROM max(ended_at) - min(placed_at))::float8,
       avg(extract(epoch FROM ended_at - placed_at))::float8
FROM call JOIN event e ON e.alarm_id = call.alarm_id AND e.type = 'helper_minutes' AND e.data->>'minutes' = '15'
WHERE call.ended_at IS NOT NULL AND call.placed_at > %s
"""


async def measure(rig: Rig, *, quick: bool) -> Figure:
    lines, count, rounds = (30, 45, 1) if quick else (60, 120, 2)
    database = await rig.database("contacts")
    child = rig.careline(database, [Role.AGI, Role.AMI, Role.WORKER], trunk="network", lines=lines, rate=_RATE)
    ours: list[tuple[int, float, float]] = []
    bare: list[tuple[int, float, float]] = []
    try:
        await child.ready()
        await rig.render(NAME, ADDRESS, WAY_IN)  # made once for each text, then kept: not measured here
        for _ in range(rounds):
            bare.append(await _Bare(lines, count).run(rig))
            ours.append(await _ours(database, count))
    finally:
        await child.stop()
        await database.close()
    us, them = (median(n / seconds for n, seconds, _ in side) for side in (ours, bare))
    notes = [
        f"finished with 15 minutes noted: ours {sum(o[0] for o in ours)}, bare {sum(b[0] for b in bare)} "
        f"of {rounds * count}",
        f"limited by the {lines} lines and the length of a call: ours {_mean(ours):.2f} s, bare {_mean(bare):.2f} s",
    ]
    return Figure(
        4,
        "finished contact calls per second",
        f"{rounds} × {count} each over {lines} lines, in turn",
        [Ratio(f"over {lines} lines", us, them, "/s", better="higher", target=0.8)],
        notes,
    )


def _mean(side: list[tuple[int, float, float]]) -> float:
    return sum(n * seconds for n, _, seconds in side) / max(1, sum(n for n, _, _ in side))


async def _ours(database: Database, count: int) -> tuple[int, float, float]:
    """So many alarms at once, each with one contact: finished calls, seconds in all, mean seconds of a call."""
    began: datetime = await database.now()
    contacts = await people(database, count, phone="contact")
    intake = SignalIntake(database, Alarms(database), PlanBook.load(), Service(duty=()))
    await intake.take([Signal(c.device, "m1", "smoke", SignalState.ALARM, began, "mqtt") for c in contacts])
    done = 0
    end = time.monotonic() + 120
    while done < count and time.monotonic() < end:
        await asyncio.sleep(0.2)
        sql = "SELECT count(*) FROM call WHERE ended_at IS NOT NULL AND placed_at > %s"
        ((done,),) = await database.query(sql, (began,))
    ((finished, seconds, length),) = await database.query(_FINISHED, (began,))
    return finished, seconds or 1.0, length or 0.0


class _Bare:
    """Keeps the lines busy: a call is placed whenever one is free."""

    def __init__(self, lines: int, count: int) -> None:
        self._count = count
        self._free = asyncio.Semaphore(lines)
        self._placed: dict[str, float] = {}
        self._lengths: list[float] = []
        self._last = 0.0
        self._finished = 0
        self._over = asyncio.Event()

    async def run(self, rig: Rig) -> tuple[int, float, float]:
        link = await Link.open(rig.ami, self._heard)
        began = time.monotonic()
        for serial in range(self._count):
            await self._free.acquire()
            channel = str(uuid.uuid4())
            self._placed[channel] = time.monotonic()
            await link.originate(
                channel=f"PJSIP/138{serial:08d}@network",
                context="bench-contact",
                exten="s",
                caller_id="4008001234",
                timeout_ms=25_000,
                channel_id=channel,
            )
            await asyncio.sleep(max(0.0, began + (serial + 1) / _RATE - time.monotonic()))
        async with asyncio.timeout(120):
            await self._over.wait()
        await link.close()
        return self._finished, self._last - began, sum(self._lengths) / len(self._lengths)

    def _heard(self, event: Mapping[str, str]) -> None:
        if event["Event"] == "UserEvent" and event.get("UserEvent") == "BenchDone":
            self._finished += event.get("Minutes") == "15"
        placed = self._placed.pop(event.get("Uniqueid", ""), None) if event["Event"] == "Hangup" else None
        if placed is not None:
            self._last = time.monotonic()
            self._lengths.append(self._last - placed)
            self._free.release()
            if len(self._lengths) == self._count:
                self._over.set()
