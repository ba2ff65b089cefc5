"""Figure 5: after kill -9 of the process that drives the node, the time to the next call, as a multiple of the lease.

Two processes of the role ami; the one that drives is killed at a random moment of its lease, with an alarm raised right
after. The lease, the service's own default, is the bare thing: no successor may act before it has run out.
"""

from __future__ import annotations

import asyncio
import random
import time

from alarm_core.planbook import PlanBook
from alarm_core.signal import Signal, SignalState
from alarm_core.store.alarms import Alarms
from alarm_core.store.database import Database
from alarm_core.store.intake import Service, SignalIntake
from service.app import Role
from service.settings import Settings
from tests.bench.child import Child
from tests.bench.report import Figure, Ratio
from tests.bench.rig import Rig, people

_OWNER = "SELECT owner FROM node WHERE owner IS NOT NULL AND lease_until > clock_timestamp()"


async def measure(rig: Rig, *, quick: bool) -> Figure:
    rounds = 2 if quick else 6
    lease = Settings().lease_seconds
    database = await rig.database("takeover")
    intake = SignalIntake(database, Alarms(database), PlanBook.load(), Service(duty=()))
    elders = await people(database, rounds + 1)
    took = []
    driving = await _start(rig, database)
    waiting: Child | None = None
    try:
        await _driven(database)
        for turn in range(rounds):
            waiting = await _start(rig, database)
            await asyncio.sleep(random.uniform(0.0, lease))
            killed = time.time_ns()
            driving.kill()
            elder = elders[turn]
            now = await database.now()
            await intake.take([Signal(elder.device, "m1", "smoke", SignalState.ALARM, now, "mqtt")])
            if await asyncio.to_thread(rig.sink.wait, {elder.number}.issubset, lease * 4):
                took.append((rig.sink.arrived[elder.number] - killed) / 1e9)
            driving, waiting = waiting, None
    finally:
        await driving.stop()
        if waiting is not None:
            await waiting.stop()
        await database.close()
    return Figure(
        5,
        "take-over after kill -9",
        f"{len(took)} of {rounds} kills",
        [Ratio("longest", max(took), lease, "s", target=1.3), Ratio("mean", sum(took) / len(took), lease, "s")]
        if took
        else [],
        ["a lease is renewed every third of it: what is left of it at the kill is between two thirds and all"],
    )


async def _driven(database: Database) -> None:
    async with asyncio.timeout(30):
        while True:
            if await database.query(_OWNER):
                return
            await asyncio.sleep(0.05)


async def _start(rig: Rig, database: Database) -> Child:
    child = rig.careline(database, [Role.AMI], trunk="sink")
    await child.ready()
    return child
