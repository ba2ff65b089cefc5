"""Signals that repeat themselves, that nobody understands, or that were made to do harm."""

from __future__ import annotations

import asyncio
import json
import os
import time
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from ingest.signature import sign
from service.runtime.secrets import Secrets
from tests.live.hearing import heard
from tests.live.world import DUTY, World

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(120)]

INJECTION = "王'\"`\\\r\nAction: Hangup\r\nChannel: /.*/\r\n\r\n${SHELL(touch /tmp/owned)}$[1+1];,|&)(@"


@pytest_asyncio.fixture(autouse=True, loop_scope="session")
async def quiet_end(world: World) -> AsyncIterator[None]:
    yield
    await world.end_all()


async def _push(world: World, document: dict[str, Any]) -> httpx.Response:
    """A signal over HTTP, signed with the common secret."""
    body, stamp = json.dumps(document).encode(), str(int(time.time()))
    secret = Secrets(world.settings.state / "secrets").get("ingest").encode()
    headers = {"X-Careline-Timestamp": stamp, "X-Careline-Signature": sign(secret, stamp, body)}
    url = f"http://127.0.0.1:{world.settings.ports.http}/api/v1/signals"
    async with httpx.AsyncClient(trust_env=False) as client:
        return await client.post(url, content=body, headers=headers)


async def _rejected(world: World, device: str) -> tuple[str, bool]:
    """Reason and danger of the device's message in the quarantine."""
    sql = "SELECT reason, dangerous FROM rejected_signal WHERE device_id = %s OR topic LIKE %s"
    (row,) = await world.until(lambda: world.rows(sql, (device, f"%{device}%")), "the message in the quarantine")
    return row[0], row[1]


async def test_the_same_signal_a_hundred_times_is_one_alarm(world: World) -> None:
    home = await world.home("01", phone="04")
    message = {"id": uuid.uuid4().hex, "kind": "smoke", "at": datetime.now(UTC).isoformat(), "state": "alarm"}
    topic = f"careline/v1/devices/{home.device}/signal"
    await world.publish_all([(topic, json.dumps(message).encode())] * 100)
    pushed = await asyncio.gather(*(_push(world, {**message, "device_id": home.device}) for _ in range(10)))

    alarm = await world.until_alarm(home, lambda a: a.helpers, "the contact to go")
    assert {answer.json()["alarm"] for answer in pushed} == {str(alarm.id)}
    assert {answer.status_code for answer in pushed} <= {200, 202}
    assert len(await world.rows("SELECT 1 FROM alarm WHERE elder_id = %s", (home.elder_id,))) == 1
    assert [event.type for _, event in await world.alarms.history(alarm.id)].count("signal_joined") == 0
    assert len(world.phones.calls(home.contacts[0])) == len(world.phones.calls(home.phone)) == 1
    await world.check_record()


async def test_signals_out_of_order_do_not_hide_a_danger(world: World) -> None:
    home = await world.home("01", phone="04")
    await world.signal(home.device, state="clear")
    await world.signal(home.device)
    await world.signal(home.device, state="heartbeat", at="2026-11-22T00:00:00+08:00")
    await world.signal(home.device, state="clear")
    await world.until_alarm(home, lambda a: a.helpers, "somebody to go to the fire")


async def test_a_danger_from_an_unknown_device_reaches_the_duty_phone(world: World) -> None:
    device = f"nobody-{uuid.uuid4().hex[:8]}"
    before = len(world.phones.calls(DUTY))
    await world.script(DUTY, "ring:1,answer,wait:36,press:1,wait:60,hangup")
    try:
        await world.signal(device)
        await world.until_calls(DUTY, before + 1)
        await world.until_hung_up(DUTY)
    finally:
        await world.script(DUTY, "ring:1,answer,wait:3,press:1,wait:60,hangup")
    assert await _rejected(world, device) == ("unknown_device", True)
    sounds = await heard(world, world.phones.calls(DUTY)[before])
    assert sounds.prompt("duty.greeting")
    assert sounds.prompt("duty.unknown_device")


@pytest.mark.parametrize(
    ("payload", "reason", "dangerous"),
    [
        (b"SMOKE ALARM!! help", "not_json", True),
        (os.urandom(4096), "not_json", False),
        (b'{"id":"1","kind":"smoke","state":"alarm","at":' + b"[" * 100_000, "not_json", True),
        (b'{"kind":"smoke","state":"alarm","value":"' + b"x" * (1 << 20) + b'"}', "", True),
        (b"\0" * (1 << 20), "", False),
        (b'{"id":"1","kind":"smoke","state":"burning"}', "", True),
    ],
    ids=["words", "noise", "nested", "1 MiB of JSON", "1 MiB of zeros", "unknown state"],
)
async def test_what_nobody_can_read_is_kept_and_acted_on_if_it_may_be_danger(
    world: World, payload: bytes, reason: str, dangerous: bool
) -> None:
    home = await world.home("02", phone="04")
    await world.publish(f"careline/v1/devices/{home.device}/signal", payload)
    kept, looks_dangerous = await _rejected(world, home.device)
    assert looks_dangerous is dangerous
    assert not reason or kept == reason
    if dangerous:
        await world.until_alarm(home, lambda a: a.legs or a.elder.tries, "somebody to be called")
    else:
        assert await world.alarm_of(home) is None
    # It blocks nothing.
    after = await world.home("02", phone="04")
    await world.signal(after.device)
    await world.until_alarm(after, lambda a: a.legs or a.elder.tries, "the next alarm", 5)


async def test_a_danger_from_a_device_whose_clock_is_far_off_is_raised_and_noted(world: World) -> None:
    home = await world.home("01", phone="04")
    await world.signal(home.device, at="2001-01-01T00:00:00+08:00")
    await world.until_alarm(home, lambda a: a.legs or a.elder.tries, "somebody to be called")
    assert await _rejected(world, home.device) == ("clock_off", True)


def _made_by_injection(world: World) -> list[Path]:
    return [path for path in (world.servers.runtime.root / "tmp/owned", Path("/tmp/owned")) if path.exists()]


async def test_names_and_ids_made_to_inject_are_only_text(world: World) -> None:
    home = await world.home("01", phone="04")
    sql = "UPDATE elder SET name = %s, street = %s, way_in = %s WHERE id = %s RETURNING id"
    await world.rows(sql, (INJECTION, INJECTION, INJECTION, home.elder_id))
    sql = "UPDATE contact SET name = %s, relation = %s WHERE elder_id = %s RETURNING id"
    await world.rows(sql, (INJECTION, INJECTION, home.elder_id))
    await world.signal(home.device, id=INJECTION, value=INJECTION)
    # Device ids of that kind cannot be registered: they reach the duty phone as those of unknown devices.
    wild = "dev'\"\\${SHELL(id)};,|&-" + uuid.uuid4().hex[:6]
    await world.signal(wild)

    alarm = await world.until_alarm(home, lambda a: a.helpers, "the contact to go")
    assert alarm.brief.elder_name == INJECTION
    await world.until_alarm(home, lambda a: not a.legs, "the call to end")
    (call,) = world.phones.calls(home.contacts[0])
    assert (await heard(world, call)).prompt("contact.thanks"), "the call was cut short"
    assert not _made_by_injection(world)
    assert (await _rejected(world, wild))[0] == "unknown_device"
    await world.check_record()
