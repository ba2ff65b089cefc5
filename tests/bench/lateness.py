"""Figure 3: how late a due command is, beside the round trip of a bare LISTEN/NOTIFY.

The commands are real wakes of the rules: alarms that nobody can be called for look again after a pause. Each has a
pause of its own, so that they fall due at random times. Late: from `due_at` to the statement that finishes the wake, in
the transaction that applies its event.
"""

from __future__ import annotations

import asyncio
import random
from datetime import datetime

import psycopg

from alarm_core.planbook import PlanBook
from alarm_core.signal import Signal, SignalState
from alarm_core.store.alarms import Alarms
from alarm_core.store.database import Database
from alarm_core.store.intake import Service, SignalIntake
from service.app import Role
from tests.bench.report import Figure, Ratio, quantile
from tests.bench.rig import Rig, people

_ALARMS = 10
_WAITING = 1000
_SINCE = """
SELECT extract(epoch FROM finished_at - due_at)::float8 * 1000 FROM command
WHERE type = 'wake' AND state = 'done' AND due_at > %s
"""


async def measure(rig: Rig, *, quick: bool) -> Figure:
    rounds, seconds = (1, 6.0) if quick else (3, 10.0)
    database = await rig.database("lateness")
    bare_url = await asyncio.to_thread(rig.bare_database, "lateness_bare")
    child = rig.careline(database, [Role.WORKER], trunk="sink")
    bare: list[float] = []
    idle: list[float] = []
    crowded: list[float] = []
    try:
        await child.ready()
        chance = random.Random(1)  # the same pauses in every run
        await _open(database, [chance.uniform(0.6, 1.4) for _ in range(_ALARMS)])
        for _ in range(rounds):
            idle += await _wakes(database, seconds)
        await _open(database, [86400.0] * _WAITING)
        for _ in range(rounds):
            crowded += await _wakes(database, seconds)
            bare += await _round_trips(bare_url, 100)
    finally:
        await child.stop()
        await database.close()
    return Figure(
        3,
        "lateness of a due command",
        f"{len(idle)}, {len(crowded)}; bare {len(bare)}",
        [
            Ratio("p99, nothing else waits", quantile(idle, 0.99), quantile(bare, 0.99), "ms"),
            Ratio(f"p99, {_WAITING} others wait", quantile(crowded, 0.99), quantile(bare, 0.99), "ms"),
            Ratio("p50, nothing else waits", quantile(idle, 0.5), quantile(bare, 0.5), "ms"),
        ],
        ["ours holds a timer, a claim (committed), the alarm's lock, the rules and their writes; the bare one nothing"],
    )


async def _open(database: Database, pauses: list[float]) -> None:
    """Alarms without anybody to call: each looks again for a duty phone after its own pause, for ever."""
    own = [{"smoke": {"duty": {"pause_seconds": pause}}} for pause in pauses]
    elders = await people(database, len(pauses), phone="nobody", plans=own)
    intake = SignalIntake(database, Alarms(database), PlanBook.load(), Service(duty=()))
    now = await database.now()
    await intake.take([Signal(e.device, "m1", "smoke", SignalState.ALARM, now, "mqtt") for e in elders])


async def _wakes(database: Database, seconds: float) -> list[float]:
    since: datetime = await database.now()
    await asyncio.sleep(seconds)
    return [late for (late,) in await database.query(_SINCE, (since,))]


async def _round_trips(url: str, count: int) -> list[float]:
    """From NOTIFY on one connection to its arrival on another, in milliseconds."""
    loop = asyncio.get_running_loop()
    took = []
    async with (
        await psycopg.AsyncConnection.connect(url, autocommit=True) as ear,
        await psycopg.AsyncConnection.connect(url, autocommit=True, prepare_threshold=0) as mouth,
    ):
        await ear.execute("LISTEN bare")
        for _ in range(count):
            await asyncio.sleep(0.02)
            began = loop.time()
            await mouth.execute("NOTIFY bare")
            async for _ in ear.notifies(stop_after=1):
                took.append((loop.time() - began) * 1000)
    return took
