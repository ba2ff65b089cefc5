"""The main story, told as it happens: a smoke alarm over MQTT, and help that gets there."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote, urlsplit

import click
import paho.mqtt.publish

from alarm_core.alarm import OPEN
from alarm_core.events import StaffEntry
from alarm_core.store.documents import Documents
from alarm_core.store.record import Happening
from ami.link import Link
from dialplan.network import call_in
from service.app import Careline, Role
from service.demo.district import settings_of_demo, settle
from service.servers import PlayedNetwork, Servers
from service.settings import Settings
from service.timeline import lines

DEVICE = "demo-smoke-1"
HELPER_PHONE = "13900000101"
FAST_PACE, FAST_PHONES = 0.12, 0.3
_LONGEST_SECONDS = 600.0
_ARRIVES_AFTER_SECONDS = 12.0

Say = Callable[[str], None]


async def tell_story(settings: Settings, *, once: bool, as_json: bool, fast: bool) -> int:
    """Start everything, raise the alarm, follow it to its end. Returns the exit status."""

    def say(message: str) -> None:
        click.echo(message, err=as_json)

    pace = FAST_PACE if fast else 1.0
    settings = settings_of_demo(settings, pace=pace)
    servers = Servers(settings, PlayedNetwork(pace=FAST_PHONES if fast else 1.0))
    async with _running(settings, servers) as careline:
        say("")
        say("居家安全守护：一次烟雾报警 · Careline: one smoke alarm, on real servers")
        say("")
        document = await _story(careline, servers, say, pace)
        problems = faults(document)
        say("")
        for problem in problems:
            say(f"✗ {problem}")
        if not problems:
            seconds = _seconds(document)
            say(f"✓ 老人平安，帮助已到达（{seconds:.0f} 秒） · help got there, the elder is safe ({seconds:.0f} s)")
        if as_json:
            click.echo(json.dumps(document, ensure_ascii=False, indent=2))
        _say_next(document, settings, say)
        if not once:
            say("一直运行，按 Ctrl-C 结束 · running on; Ctrl-C ends it")
            await asyncio.Event().wait()
    return 1 if problems else 0


@asynccontextmanager
async def _running(settings: Settings, servers: Servers) -> AsyncIterator[Careline]:
    """Servers and service, stopped cleanly in the end."""
    try:
        endpoints = await servers.start(lambda message: click.echo(message, err=True))
        careline = Careline(settings, endpoints, servers.trunks, list(Role))
        running = asyncio.create_task(careline.run())
        try:
            await _first(careline.started.wait(), running)
            await settle(careline)
            await _first(_ready(careline), running)
            yield careline
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
    finally:
        await servers.stop()


async def _first(wanted: Any, running: asyncio.Task[None]) -> None:
    """Wait for it, unless the service ends before: then with its error."""
    waiting = asyncio.ensure_future(wanted)
    await asyncio.wait({waiting, running}, return_when=asyncio.FIRST_COMPLETED)
    if running.done():
        waiting.cancel()
        running.result()


async def _ready(careline: Careline) -> None:
    """The lines are in our hands and the devices are heard."""
    for part in (
        lambda: careline.driver and careline.driver.driving,
        lambda: careline.mqtt and careline.mqtt.status.ready,
    ):
        while not part():  # noqa: ASYNC110  # neither announces itself
            await asyncio.sleep(0.05)


async def _story(careline: Careline, servers: Servers, say: Say, pace: float) -> dict[str, Any]:
    """Raise the alarm and print each event as it comes; the third contact calls back on arrival."""
    documents = Documents(careline.database)
    await _end_leftovers(careline)
    message_id = f"demo-{uuid.uuid4().hex[:12]}"
    await asyncio.to_thread(_publish, careline.endpoints.mqtt_url, message_id)
    alarm_id = await _alarm_of(careline, message_id)
    printed = 0
    called_back: asyncio.Task[None] | None = None
    deadline = time.monotonic() + _LONGEST_SECONDS
    while True:
        document = (await documents.alarm(alarm_id)).model_dump(mode="json")
        story = lines(document)
        for line in story[printed:]:
            say(f"  {line.since_opening:6.1f} s  {line.zh} · {line.en}")
        printed = len(story)
        if called_back is None and _somebody_goes(document):
            called_back = asyncio.create_task(_arrive(servers, _ARRIVES_AFTER_SECONDS * max(pace, 0.2)))
        if document["outcome"] is not None and not _live_calls(document):
            break
        if time.monotonic() > deadline:
            break
        await asyncio.sleep(0.1)
    if called_back is not None:
        await called_back
    return document


async def _arrive(servers: Servers, after: float) -> None:
    """The third contact is at the door and calls the number that called him: 1 arrived, 1 the elder is safe."""
    await asyncio.sleep(after)
    link = await Link.open(servers.network_ami, lambda event: None)
    try:
        await link.db_put("caller", HELPER_PHONE, "wait:3,press:1,wait:3,press:1,wait:60,hangup")
        await link.action("Originate", call_in(HELPER_PHONE))
    finally:
        await link.close()


def faults(document: dict[str, Any]) -> list[str]:
    """Where the alarm's record differs from the story; empty when the alarm got there through those calls."""
    calls = document["calls"]
    out = [call for call in calls if call["direction"] == "out"]
    wanted = [("elder", "no_answer"), ("contact", "busy"), ("contact", "no_key"), ("contact", "going")]
    found = []
    if document["outcome"] != "helped":
        found.append(f"the alarm ended as {document['outcome']!r}, not as 'helped'")
    if [call["party"] for call in out] != [party for party, _ in wanted]:
        found.append(f"the calls went to {[call['party'] for call in out]}")
    else:
        for call, (party, outcome) in zip(out, wanted, strict=True):
            if call["outcome"] != outcome:
                found.append(f"the call to {party} ended as {call['outcome']!r}, not as {outcome!r}")
        voicemail = out[2]
        if voicemail["answered_at"] is None or voicemail["keys"]:
            found.append("the second contact's voicemail did not pick up, or pressed a key")
    if not any(call["direction"] == "in" and call["keys"] for call in calls):
        found.append("nobody called back to report the arrival")
    return found


def _publish(mqtt_url: str, message_id: str) -> None:
    url = urlsplit(mqtt_url)
    payload = {
        "id": message_id,
        "kind": "smoke",
        "at": datetime.now(UTC).isoformat(),
        "value": 0.31,
        "state": "alarm",
        "battery": 0.87,
    }
    paho.mqtt.publish.single(
        f"careline/v1/devices/{DEVICE}/signal",
        json.dumps(payload),
        qos=1,
        hostname=url.hostname or "127.0.0.1",
        port=url.port or 1883,
        auth={"username": unquote(url.username or ""), "password": unquote(url.password or "")},
    )


async def _alarm_of(careline: Careline, message_id: str) -> uuid.UUID:
    while True:
        async with careline.database.transaction() as tx:
            sql = "SELECT alarm_id FROM signal WHERE device_id = %s AND message_id = %s AND alarm_id IS NOT NULL"
            rows = await tx.all(sql, (DEVICE, message_id))
        if rows:
            return uuid.UUID(str(rows[0][0]))
        await asyncio.sleep(0.02)


async def _end_leftovers(careline: Careline) -> None:
    """An earlier demo that was broken off left its alarm open: this story wants one of its own."""
    async with careline.database.transaction() as tx:
        phases = [phase.value for phase in OPEN]
        rows = await tx.all("SELECT id FROM alarm WHERE phase = ANY(%s)", (phases,))
    for (alarm_id,) in rows:
        for action in ("resolve", "close"):
            event = StaffEntry(action=action, by="demo", note="left open by an earlier demo")
            await careline.alarms.apply(alarm_id, Happening(event, "staff:demo", f"demo-{action}-{uuid.uuid4()}"))


def _somebody_goes(document: dict[str, Any]) -> bool:
    return any(e["type"] == "helper_minutes" for e in document["events"]) and not _live_calls(document)


def _live_calls(document: dict[str, Any]) -> bool:
    return any(call["ended_at"] is None for call in document["calls"])


def _seconds(document: dict[str, Any]) -> float:
    ended = max(datetime.fromisoformat(event["at"]) for event in document["events"])
    return (ended - datetime.fromisoformat(document["opened_at"])).total_seconds()


def _say_next(document: dict[str, Any], settings: Settings, say: Say) -> None:
    say("")
    say("接下来可以看 · where to look next:")
    say(f"  ./careline alarm show {document['id'][:8]}    事件回溯 · the timeline, while the demo or `up --demo` runs")
    say("  README.md, docs/architecture.md, docs/operations.md")
