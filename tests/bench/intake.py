"""Figure 2: signals taken in and committed per second, beside a consumer that commits one insert per message.

Both drain a backlog that lies in the broker, so that the publisher's speed does not matter. The rate is that of the
rows by the database's clock: how many carry a time before the last one's, by the time from the first to the last.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from multiprocessing.connection import Connection
from statistics import median
from typing import Any

import paho.mqtt.client as paho
import psycopg

from alarm_core.store.database import Database
from ingest.mqtt_settings import MqttSettings, make_client, prepare_connection
from service.app import Role
from tests.bench.child import Child, until_closed
from tests.bench.report import Figure, Ratio
from tests.bench.rig import Person, Rig, people, signal, topic, without_delay

_BARE_TOPIC = "careline/bare-intake/"
_BARE_CLIENT = "bench-bare-intake"
_DEVICES = 200
_ALARM_EVERY = 100
_RATE = """
SELECT count(*) FILTER (WHERE {at} < last) / extract(epoch FROM last - min({at}))::float8
FROM signal, (SELECT max({at}) AS last FROM signal) AS newest WHERE {at} > %s GROUP BY last
"""


async def measure(rig: Rig, *, quick: bool) -> Figure:
    rounds, count = (1, 2000) if quick else (3, 6000)
    bare_url = await asyncio.to_thread(rig.bare_database, "intake_bare")
    database = await rig.database("intake")
    devices = await people(database, _DEVICES, phone="nobody")
    for session in (replace(MqttSettings.from_url(rig.mqtt_url), topic_root="careline/v1"), _bare(rig.mqtt_url)):
        await asyncio.to_thread(_subscribe, session)
    rates: dict[str, list[float]] = {"bare": [], "heartbeats": [], "with alarms": []}
    lost = 0
    for turn in range(rounds):
        _publish(rig, [(f"{_BARE_TOPIC}{n}", signal("heartbeat", n)) for n in range(count)])
        rate, missing = await _drain_bare(rig, bare_url, count)
        rates["bare"].append(rate)
        lost += missing
        for name in ("heartbeats", "with alarms"):
            messages = _messages(devices, count, f"{turn}{name[0]}", alarms=name == "with alarms")
            _publish(rig, messages)
            rate, missing = await _drain(rig, database, count)
            rates[name].append(rate)
            lost += missing
    await database.close()
    bare = median(rates["bare"])
    return Figure(
        2,
        "signals taken in and committed per second",
        f"{rounds} × {count} each, in turn; the median of each",
        [
            Ratio("heartbeats", median(rates["heartbeats"]), bare, "/s", better="higher", target=3),
            Ratio("of these 1 % alarms", median(rates["with alarms"]), bare, "/s", better="higher"),
        ],
        [f"nothing lost: {lost == 0} ({lost} rows missing), QoS 1, from a backlog in the broker"],
    )


def _messages(devices: Sequence[Person], count: int, turn: str, *, alarms: bool) -> list[tuple[str, str]]:
    found = []
    for n in range(count):
        state = "alarm" if alarms and n % _ALARM_EVERY == 0 else "heartbeat"
        body = json.loads(signal(state, n)) | {"id": f"{turn}-{n}"}
        found.append((topic(devices[n % len(devices)].device), json.dumps(body)))
    return found


def _bare(url: str) -> MqttSettings:
    return replace(MqttSettings.from_url(url), client_id=_BARE_CLIENT)


def _subscribe(session: MqttSettings) -> None:
    """Make the session known to the broker, so that it keeps what is published while nobody listens."""
    client = make_client(session)
    done: list[bool] = []
    place = _BARE_TOPIC + "+" if session.client_id == _BARE_CLIENT else topic("+")

    def on_connect(*_: Any) -> None:
        client.subscribe([(place, 1)])

    client.on_connect = on_connect
    client.on_subscribe = lambda *_: done.append(True)
    prepare_connection(client, session)
    client.loop_start()
    while not done:
        time.sleep(0.01)
    client.disconnect()
    client.loop_stop()


def _publish(rig: Rig, messages: Sequence[tuple[str, str]]) -> None:
    publisher = rig.mqtt("bench-intake")
    last = [publisher.publish(place, payload, qos=1) for place, payload in messages]
    for info in last:
        info.wait_for_publish(60)
    publisher.disconnect()
    publisher.loop_stop()


async def _drain(rig: Rig, database: Database, count: int) -> tuple[float, int]:
    """Rate of our rows, and how many are missing."""
    before = (await database.query("SELECT count(*) FROM signal"))[0][0]
    began = await database.now()
    child = rig.careline(database, [Role.INGEST], trunk="sink")
    rows = 0
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(60):
            while rows < count:
                await asyncio.sleep(0.1)
                rows = (await database.query("SELECT count(*) FROM signal"))[0][0] - before
    await child.stop()
    ((rate,),) = await database.query(_RATE.format(at="received_at"), (began,))
    return rate, count - rows


async def _drain_bare(rig: Rig, url: str, count: int) -> tuple[float, int]:
    child = Child(consume, rig.mqtt_url, url)
    await child.ready()
    rows = 0
    with psycopg.connect(url, autocommit=True) as connection:
        end = time.monotonic() + 60
        while rows < count and time.monotonic() < end:
            await asyncio.sleep(0.1)
            (rows,) = connection.execute("SELECT count(*) FROM signal").fetchone() or (0,)
        ((rate,),) = connection.execute(_RATE.format(at="at"), ("-infinity",)).fetchall()
    await child.stop()
    return rate, count - rows


def consume(mqtt_url: str, database_url: str, pipe: Connection) -> None:
    """The bare side: in paho's thread, one insert and its commit for each message, then its acknowledgement."""
    database = psycopg.connect(database_url, autocommit=True, prepare_threshold=0)
    database.execute("DROP TABLE IF EXISTS signal")
    database.execute(
        "CREATE TABLE signal (id bigint GENERATED ALWAYS AS IDENTITY, topic text, body jsonb, "
        "at timestamptz DEFAULT clock_timestamp())"
    )
    client = make_client(_bare(mqtt_url))

    def on_message(_: paho.Client, __: Any, message: paho.MQTTMessage) -> None:
        body = json.dumps(json.loads(message.payload))
        database.execute("INSERT INTO signal (topic, body) VALUES (%s, %s)", (message.topic, body))
        client.ack(message.mid, message.qos)

    client.on_message = on_message
    client.on_socket_open = without_delay
    pipe.send("ready")
    prepare_connection(client, _bare(mqtt_url))
    client.loop_start()
    until_closed(pipe)
