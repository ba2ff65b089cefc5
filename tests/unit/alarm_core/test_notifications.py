"""What a process does about the database's notifications: its own were acted upon when they were committed."""

from __future__ import annotations

import json
from typing import cast

from alarm_core.store import record
from alarm_core.store.alarms import Alarms
from alarm_core.store.database import Database


def _alarms() -> tuple[Alarms, list[frozenset[str] | None]]:
    alarms = Alarms(cast(Database, None))
    told: list[frozenset[str] | None] = []
    alarms.on_commands.append(told.append)
    return alarms, told


def _payload(origin: str, commands: list[str]) -> str:
    _, (_, payload) = record.notified([], origin)
    return json.dumps({**json.loads(payload), "commands": commands})


def test_its_own_notification_wakes_nobody() -> None:
    alarms, told = _alarms()

    alarms.heard(_payload(alarms.origin, ["place_call"]))

    assert told == []


def test_another_process_says_which_kinds_wait() -> None:
    alarms, told = _alarms()
    other, _ = _alarms()

    alarms.heard(_payload(other.origin, ["place_call", "wake"]))

    assert told == [frozenset({"place_call", "wake"})]


def test_an_alarm_that_moved_without_commands_wakes_nobody() -> None:
    alarms, told = _alarms()

    alarms.heard(_payload("another", []))

    assert told == []


def test_after_a_lost_connection_anything_may_wait() -> None:
    alarms, told = _alarms()

    alarms.heard(None)

    assert told == [None]
