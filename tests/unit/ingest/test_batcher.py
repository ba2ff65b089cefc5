"""Batches: nothing is lost, nothing is told as committed before it is, and no message holds up the others."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime

import psycopg
import pytest
import sqlalchemy.exc

from alarm_core.signal import Incoming, Receipt, Rejected, Signal, SignalState, Taken
from ingest import batcher as batcher_module
from ingest.batcher import MAX_BATCH, Batcher, Delivery
from ingest.memory import MemoryIntake
from ingest.message import Message, understand
from ingest.storing import is_away

NOW = datetime(2026, 11, 22, tzinfo=UTC)
AWAY = sqlalchemy.exc.OperationalError("insert …", {}, psycopg.OperationalError("the connection is lost"))
POISON = sqlalchemy.exc.DataError("insert …", {}, psycopg.errors.InvalidTextRepresentation("bad row"))


def signal(name: str, state: SignalState = SignalState.HEARTBEAT, device: str = "d") -> Signal:
    return Signal(device_id=device, message_id=name, kind="smoke", state=state, at=NOW, source="mqtt")


def message(*items: Incoming) -> Message:
    return Message("mqtt", "careline/v1/devices/d/signal", b"the payload", "d", items)


class Desk:
    """Puts deliveries in and notes in which order they are told as committed."""

    def __init__(self, intake: MemoryIntake, batcher: Batcher) -> None:
        self.intake = intake
        self.batcher = batcher
        self.committed: dict[str, list[Receipt]] = {}

    def put(self, name: str, *items: Incoming) -> None:
        def committed(receipts: Sequence[Receipt]) -> None:
            assert name not in self.committed, "told twice"
            self.committed[name] = list(receipts)

        self.batcher.put(Delivery(message(*items), committed))

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not true():  # noqa: ASYNC110 (what is waited for is any condition)
                await asyncio.sleep(0.001)


@contextlib.asynccontextmanager
async def desk(intake: MemoryIntake) -> AsyncIterator[Desk]:
    batcher = Batcher(intake)
    running = asyncio.create_task(batcher.run())
    try:
        yield Desk(intake, batcher)
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


async def test_a_message_that_comes_alone_goes_alone_and_at_once() -> None:
    async with desk(MemoryIntake()) as at:
        started = asyncio.get_running_loop().time()
        at.put("one", signal("one", SignalState.ALARM))
        await at.until(lambda: "one" in at.committed)
        assert asyncio.get_running_loop().time() - started < 0.5
        assert [len(batch) for batch in at.intake.batches] == [1]
        assert at.committed["one"][0].alarm_id is not None


async def test_what_waits_while_a_batch_is_committed_goes_together() -> None:
    async with desk(MemoryIntake(delay=0.02)) as at:
        for number in range(MAX_BATCH * 2 + 1):
            at.put(str(number), signal(str(number)))
        await at.until(lambda: len(at.committed) == MAX_BATCH * 2 + 1)
        assert [len(batch) for batch in at.intake.batches] == [MAX_BATCH, MAX_BATCH, 1]
        assert list(at.committed) == [str(number) for number in range(MAX_BATCH * 2 + 1)]


async def test_large_payloads_make_small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batcher_module, "MAX_BATCH_BYTES", 3 * len(b"the payload"))
    async with desk(MemoryIntake()) as at:
        for number in range(7):
            at.put(str(number), signal(str(number)))
        await at.until(lambda: len(at.committed) == 7)
        assert [len(batch) for batch in at.intake.batches] == [3, 3, 1]


async def test_an_alarm_does_not_wait_behind_heartbeats_not_even_behind_a_batch_of_them() -> None:
    slow = MemoryIntake(delay=0.1)
    async with desk(slow) as at:
        for number in range(MAX_BATCH * 3):
            at.put(f"beat {number}", signal(f"beat {number}"))
        await at.until(lambda: len(slow.batches) == 1)
        at.put("alarm", signal("alarm", SignalState.ALARM))
        at.put("clear", signal("clear", SignalState.CLEAR))
        await at.until(lambda: len(at.committed) == MAX_BATCH * 3 + 2)
        before = list(at.committed).index("alarm")
        assert before <= MAX_BATCH
        assert list(at.committed).index("clear") > before


async def test_nothing_is_told_before_the_commit() -> None:
    async with desk(MemoryIntake(delay=0.05)) as at:
        at.put("one", signal("one"))
        await at.until(lambda: len(at.intake.batches) == 1)
        assert not at.committed
        assert not at.intake.signals


async def test_while_the_database_is_away_everything_waits_and_then_everything_is_stored() -> None:
    away = True
    intake = MemoryIntake(fault=lambda batch: AWAY if away else None)
    async with desk(intake) as at:
        for number in range(3):
            at.put(str(number), signal(str(number)))
        at.put("alarm", signal("alarm", SignalState.ALARM))
        await at.until(lambda: len(intake.batches) >= 6)
        assert not at.committed
        assert "OperationalError" in (at.batcher.trouble or "")
        away = False
        await at.until(lambda: len(at.committed) == 4)
        assert at.batcher.trouble is None
        assert not intake.rejected


async def test_one_poison_message_goes_to_the_quarantine_and_the_others_are_stored() -> None:
    def fault(batch: Sequence[Incoming]) -> Exception | None:
        return POISON if any(isinstance(item, Signal) and item.message_id == "poison" for item in batch) else None

    intake = MemoryIntake(fault=fault)
    async with desk(intake) as at:
        for number in range(20):
            at.put(f"{number}", signal(f"{number}", SignalState.ALARM))
        at.put("poison", signal("poison", SignalState.ALARM))
        for number in range(20, 40):
            at.put(f"{number}", signal(f"{number}", SignalState.ALARM))
        await at.until(lambda: len(at.committed) == 41)
    assert len(intake.signals) == 40
    (rejected,) = intake.rejected
    assert (rejected.reason, rejected.payload, rejected.dangerous) == ("store_error", b"the payload", True)
    assert at.committed["poison"] == [Receipt(Taken.QUARANTINED, reason="store_error")]


async def test_the_database_goes_away_while_a_poison_message_is_looked_for() -> None:
    calls = 0

    def fault(batch: Sequence[Incoming]) -> Exception | None:
        nonlocal calls
        calls += 1
        if calls == 3:
            return AWAY
        return POISON if any(isinstance(item, Signal) and item.message_id == "3" for item in batch) else None

    intake = MemoryIntake(fault=fault)
    async with desk(intake) as at:
        for number in range(8):
            at.put(str(number), signal(str(number)))
        await at.until(lambda: len(at.committed) == 8)
    assert len(intake.signals) == 7
    assert len(intake.rejected) == 1


async def test_of_a_message_with_several_signals_only_the_poison_one_is_quarantined() -> None:
    def fault(batch: Sequence[Incoming]) -> Exception | None:
        return ValueError("x") if any(isinstance(item, Signal) and item.message_id == "b" for item in batch) else None

    intake = MemoryIntake(fault=fault)
    async with desk(intake) as at:
        at.put("push", signal("a"), signal("b"), signal("c"))
        await at.until(lambda: "push" in at.committed)
    assert [receipt.taken.value for receipt in at.committed["push"]] == ["accepted", "quarantined", "accepted"]


async def test_what_not_even_the_quarantine_takes_is_kept_and_does_not_hold_up_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(batcher_module, "LONGEST_WAIT", 0.05)
    broken = True

    def fault(batch: Sequence[Incoming]) -> Exception | None:
        bad = any(isinstance(item, Rejected) or item.message_id == "bad" for item in batch)
        return TypeError("a mistake of ours") if bad and broken else None

    intake = MemoryIntake(fault=fault)
    async with desk(intake) as at:
        at.put("bad", signal("bad"))
        for number in range(10):
            at.put(str(number), signal(str(number)))
        await at.until(lambda: len(at.committed) == 10)
        assert "bad" not in at.committed
        broken = False
        await at.until(lambda: "bad" in at.committed)


async def test_a_message_that_says_nothing_is_told_as_committed() -> None:
    async with desk(MemoryIntake()) as at:
        at.put("nothing")
        at.put("nothing again")
        await at.until(lambda: len(at.committed) == 2)


async def test_a_mistake_in_telling_ends_the_batcher_loudly() -> None:
    def broken(receipts: Sequence[Receipt]) -> None:
        raise ZeroDivisionError

    batcher = Batcher(MemoryIntake())
    batcher.put(Delivery(message(signal("one")), broken))
    with pytest.raises(ExceptionGroup) as caught:
        await asyncio.wait_for(batcher.run(), 5)
    assert caught.group_contains(ZeroDivisionError)


@pytest.mark.parametrize(
    ("error", "away"),
    [
        (AWAY, True),
        (sqlalchemy.exc.TimeoutError("the pool is empty"), True),
        (ConnectionRefusedError(), True),
        (TimeoutError(), True),
        (sqlalchemy.exc.ProgrammingError("", {}, psycopg.errors.UndefinedTable("no table")), True),
        (sqlalchemy.exc.OperationalError("", {}, psycopg.errors.DeadlockDetected("")), True),
        (sqlalchemy.exc.InternalError("", {}, psycopg.errors.ReadOnlySqlTransaction("")), True),
        (sqlalchemy.exc.OperationalError("", {}, psycopg.errors.DiskFull("")), True),
        (psycopg.OperationalError("no route"), True),
        (POISON, False),
        (sqlalchemy.exc.OperationalError("", {}, psycopg.errors.ProgramLimitExceeded("")), False),
        (sqlalchemy.exc.IntegrityError("", {}, psycopg.errors.CheckViolation("")), False),
        (sqlalchemy.exc.DataError("", {}, psycopg.DataError("PostgreSQL text fields cannot contain NUL")), False),
        (UnicodeEncodeError("utf-8", "x", 0, 1, "surrogates not allowed"), False),
        (TypeError(), False),
    ],
    ids=lambda value: repr(value)[:60],
)
def test_an_absent_database_is_told_from_a_poison_message(error: Exception, away: bool) -> None:
    assert is_away(error) is away


def test_a_message_is_urgent_when_it_may_be_danger() -> None:
    def urgent(payload: bytes) -> bool:
        return understand(payload, adapter="plain", device_id="d", source="mqtt", topic="t", received_at=NOW).urgent

    assert urgent(b'{"id":1,"kind":"smoke","state":"alarm"}')
    assert urgent(b'{"id":1,"kind":"smoke","state":"clear"}')
    assert urgent(b'{"id":1,"kind":"smoke","state":"alarm"')
    assert not urgent(b'{"id":1,"kind":"smoke","state":"heartbeat"}')
    assert not urgent(b"what is this")


def test_a_device_id_of_a_topic_that_cannot_be_stored_goes_to_the_quarantine() -> None:
    (item,) = understand(
        b'{"id":1,"kind":"smoke","state":"alarm"}',
        adapter="plain",
        device_id="d\x01",
        source="mqtt",
        topic="t/\x00",
        received_at=NOW,
    ).items
    assert isinstance(item, Rejected)
    assert (item.reason, item.dangerous) == ("bad_field", True)
    assert "\x00" not in item.topic
    assert item.device_id is not None
    assert item.device_id.isprintable()
