"""Figure 1: from PUBLISH to the INVITE that leaves Asterisk, beside paho → one committed insert → AMI Originate."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
import time
from multiprocessing.connection import Connection
from typing import Any

import paho.mqtt.client as paho
import psycopg
from paho.mqtt.enums import CallbackAPIVersion

from ami.link import AmiAddress
from service.app import Role
from tests.bench.child import Child, until_closed
from tests.bench.report import Figure, Ratio, quantile
from tests.bench.rig import Rig, connect, people, signal, topic, without_delay

_BARE_TOPIC = "careline/bare/"
_SPACING = 0.07  # each alarm finds the machine at rest from the one before
_WARM_UP = 30


async def measure(rig: Rig, *, quick: bool) -> Figure:
    count = 60 if quick else 500
    database = await rig.database("invite")
    bare_url = await asyncio.to_thread(rig.bare_database, "invite_bare")
    roles = [Role.INGEST, Role.AGI, Role.AMI, Role.WORKER]
    ours = rig.careline(database, roles, trunk="sink")
    bare = Child(chain, rig.mqtt_url, bare_url, rig.ami, "sink")
    publisher = rig.mqtt("bench-invite")
    try:
        await ours.ready()
        await bare.ready()
        elders = await people(database, count + _WARM_UP)
        numbers = [(elder.device, elder.number, f"130{n:08d}") for n, elder in enumerate(elders)]
        sent: dict[str, int] = {}
        for device, number, bare_number in numbers:
            for place, called in ((topic(device), number), (_BARE_TOPIC + bare_number, bare_number)):
                payload = signal("alarm", 1)
                sent[called] = time.time_ns()
                publisher.publish(place, payload, qos=1)
                await asyncio.sleep(_SPACING)
        await asyncio.to_thread(rig.sink.wait, set(sent).issubset, 10.0)
    finally:
        publisher.disconnect()
        publisher.loop_stop()
        await ours.stop()
        await bare.stop()
        await database.close()
    taken = {number: (rig.sink.arrived[number] - at) / 1e6 for number, at in sent.items() if number in rig.sink.arrived}
    measured = numbers[_WARM_UP:]
    us = [taken[number] for _, number, _ in measured if number in taken]
    them = [taken[number] for _, _, number in measured if number in taken]
    notes = [f"{len(sent) - len(taken)} calls never left"] if len(sent) > len(taken) else []
    return Figure(
        1,
        "from PUBLISH to the INVITE that leaves Asterisk",
        f"{len(us)} and {len(them)}, alternating",
        [
            Ratio("p50", quantile(us, 0.5), quantile(them, 0.5), "ms", target=1.5),
            Ratio("p99", quantile(us, 0.99), quantile(them, 0.99), "ms", target=1.5),
        ],
        notes,
    )


def chain(mqtt_url: str, database_url: str, ami: AmiAddress, trunk: str, pipe: Connection) -> None:
    """The bare side: everything in paho's thread, one statement, one write to the manager's socket."""
    database = psycopg.connect(database_url, autocommit=True, prepare_threshold=0)
    database.execute("CREATE TABLE signal (id bigint GENERATED ALWAYS AS IDENTITY, number text, body jsonb)")
    manager = _manager(ami)
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id="bench-bare", manual_ack=True)

    def on_message(_: paho.Client, __: Any, message: paho.MQTTMessage) -> None:
        number = message.topic.removeprefix(_BARE_TOPIC)
        body = json.loads(message.payload)
        database.execute("INSERT INTO signal (number, body) VALUES (%s, %s)", (number, json.dumps(body)))
        manager.sendall(
            f"Action: Originate\r\nActionID: {number}\r\nChannel: PJSIP/{number}@{trunk}\r\nContext: door\r\n"
            f"Exten: verify\r\nPriority: 1\r\nTimeout: 25000\r\nAsync: true\r\n\r\n".encode()
        )
        client.ack(message.mid, message.qos)

    client.on_message = on_message
    client.on_subscribe = lambda *_: pipe.send("ready")
    client.on_socket_open = without_delay
    connect(client, mqtt_url)
    client.subscribe(_BARE_TOPIC + "+", qos=1)
    client.loop_start()
    until_closed(pipe)


def _manager(ami: AmiAddress) -> socket.socket:
    """A login without events; the answers are read and dropped."""
    manager = socket.create_connection((ami.host, ami.port))
    manager.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    login = f"Action: Login\r\nUsername: {ami.username}\r\nSecret: {ami.secret}\r\nEvents: off\r\n\r\n"
    manager.sendall(login.encode())

    def drain() -> None:
        with contextlib.suppress(OSError):
            while manager.recv(65536):
                pass

    threading.Thread(target=drain, daemon=True).start()
    return manager
