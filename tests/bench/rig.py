"""What all figures share: the servers, started once; databases; elders to raise alarms for."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import paho.mqtt.client as paho
import psycopg
from paho.mqtt.enums import CallbackAPIVersion
from psycopg import sql
from sqlalchemy import make_url

from alarm_core.store.database import Database
from ami.link import AmiAddress
from dialplan import network, node
from dialplan.node import Trunk
from ivr.speech import EspeakEngine, Speech, publish
from service.app import Role
from service.runtime.place import Place
from service.runtime.ports import RTP_PORTS, free_ports
from service.runtime.private import PrivateRuntime
from service.servers import Endpoints
from service.settings import Settings
from tests.bench.child import Child, careline
from tests.bench.sink import Sink

SERVICE_NUMBER = "4008001234"
NODE = "node-1"
NAME, WAY_IN = "王桂兰", "钥匙在门卫"
_STREET, _ROOM = "虹桥路", "301"
ADDRESS = _STREET + _ROOM
# A phone that presses 1, then says: 15 minutes. Every number of the network behaves so.
_PHONE = "answer,wait:1,press:1,wait:1,press:15#,wait:60,hangup"
# Alarms that were measured stay quiet: no wake of theirs falls into the next measurement.
_QUIET_PLAN = """
kind: smoke
label: {zh: 烟雾报警, en: smoke alarm}
severity: 100
head_start_seconds: 7200
verify: {calls: 1, ring_seconds: 25}
contacts: {rounds: 1, ring_seconds: 25, again_after_seconds: 86400}
duty: {pause_seconds: 86400}
"""
_numbers = (f"139{serial:08d}" for serial in itertools.count(10_000_000))


@dataclass(frozen=True)
class Person:
    """An elder with one device and one phone; `number` is whose phone is called first."""

    elder: UUID
    device: str
    number: str


class Rig:
    """Postgres, Mosquitto, a node with two trunks ("sink", "network"), the played network, and the sink."""

    def __init__(self, state: Path) -> None:
        self.ports = free_ports()
        self.instance = f"bench-{os.getpid()}"
        self.runtime = PrivateRuntime(state, self.instance, self.ports)
        self.sink = Sink()
        self._place = Place(self.runtime.root, self.instance)
        self._postgres = self.runtime.use_postgres()
        self.mqtt_url = self.runtime.use_mosquitto().url
        secrets = self.runtime.secrets
        self.ami = AmiAddress("127.0.0.1", self.ports.ami, "careline", secrets.get("ami"))
        limits: dict[str, Any] = {"max_channels": 10_000, "calls_per_second": 1000}
        self.trunks = {
            "sink": Trunk("sink", "127.0.0.1", self.sink.port, **limits),
            "network": Trunk("network", "127.0.0.1", self.ports.network_sip, **limits),
        }
        self._plans = Path(tempfile.mkdtemp(prefix="careline-bench-"))
        (self._plans / "smoke.yaml").write_text(_QUIET_PLAN, encoding="utf-8")

    async def start(self, say: Callable[[str], None], *, extensions: str) -> None:
        """`extensions`: dialplan of the bare side, put behind the node's own."""
        sounds = self._place.home("sounds")
        publish(sounds)
        for folder in (sounds.parent, sounds, sounds / "careline"):
            folder.chmod(0o755)
        config = node.NodeConfig(
            directory_in_root=self._place.inner("asterisk"),
            sounds_dir=self._place.inner("sounds"),
            trunks=tuple(self.trunks.values()),
            service_number=SERVICE_NUMBER,
            ami_secret=self.ami.secret,
            sip_port=self.ports.sip,
            rtp_ports=(self.ports.rtp, self.ports.rtp + RTP_PORTS - 1),
            ami_port=self.ports.ami,
            agi_port=self.ports.agi,
        )
        phones = network.NetworkConfig(
            directory_in_root=self._place.inner("network"),
            sip_port=self.ports.network_sip,
            ami_port=self.ports.network_ami,
            ami_secret=self.runtime.secrets.get("network_ami"),
            careline_sip_port=self.ports.sip,
            rtp_ports=(self.ports.network_rtp, self.ports.network_rtp + RTP_PORTS - 1),
            service_number=SERVICE_NUMBER,
            scripts={"other": _PHONE},
        )

        def render(etc: Path) -> None:
            node.render(etc, config)
            with (etc / "extensions.conf").open("a", encoding="utf-8") as file:
                file.write(extensions)

        self.runtime.add_asterisk("asterisk", render)
        self.runtime.add_asterisk("network", lambda etc: network.render(etc, phones), network=True)
        await self.runtime.start(say)

    async def stop(self) -> None:
        await self.runtime.stop()
        self.sink.close()
        shutil.rmtree(self._place.home("."), ignore_errors=True)
        shutil.rmtree(self.runtime.log_folder, ignore_errors=True)
        shutil.rmtree(self._plans, ignore_errors=True)

    async def database(self, name: str) -> Database:
        """A new, empty database with our tables: no figure finds what another left."""
        url = await asyncio.to_thread(self.bare_database, name)
        database = Database(url, pool_size=2)
        await asyncio.to_thread(database.migrate)
        return database

    def bare_database(self, name: str) -> str:
        """A new, empty database without tables; its address for psycopg."""
        url = make_url(self._postgres.url).set(drivername="postgresql")
        with psycopg.connect(url.render_as_string(hide_password=False), autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return url.set(database=name).render_as_string(hide_password=False)

    def careline(
        self, database: Database, roles: Sequence[Role], *, trunk: str, lines: int = 1000, rate: float = 500.0
    ) -> Child:
        """A process of the service with one trunk of so many lines, and a rate that is no limit by default."""
        settings = Settings(
            state=self.runtime.state,
            instance=self.instance,
            ports=self.ports,
            node=NODE,
            node_max_channels=lines,
            node_calls_per_second=rate,
            service_number=SERVICE_NUMBER,
            plans=self._plans,
        )
        endpoints = Endpoints(database.url, self.mqtt_url, self.ami, self._place.home("sounds"), ())
        return Child(careline, settings, endpoints, self._place, (self.trunks[trunk],), tuple(roles))

    async def render(self, *texts: str) -> None:
        """Have these spoken texts ready on the node."""
        espeak = self._place.command("/usr/bin/espeak-ng", user=self._place.user("asterisk"))
        speech = Speech(EspeakEngine(tuple(espeak)), self._place.home("sounds"), patience=10.0)
        for text in texts:
            if await speech.ensure(text) is None:
                raise RuntimeError("espeak-ng of the private root does not speak")

    def mqtt(self, name: str) -> paho.Client:
        """A connected publisher whose thread runs; `disconnect` and `loop_stop` end it."""
        client = paho.Client(CallbackAPIVersion.VERSION2, client_id=name)
        client.max_inflight_messages_set(1000)
        connect(client, self.mqtt_url)
        client.loop_start()
        return client


def connect(client: paho.Client, url: str) -> None:
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    client.username_pw_set(parts.username, parts.password)
    client.connect(parts.hostname, parts.port)


def without_delay(_: paho.Client, __: Any, opened: Any) -> None:
    """For `on_socket_open`: an acknowledgement must not wait for the one before it."""
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def topic(device: str) -> str:
    return f"careline/v1/devices/{device}/signal"


def signal(state: str, serial: int, kind: str = "smoke") -> str:
    """A device's message as the contract has it."""
    at = datetime.now(UTC).isoformat()
    return json.dumps({"id": f"m{serial}", "kind": kind, "at": at, "state": state, "battery": 0.87})


async def people(
    database: Database, count: int, *, phone: str = "elder", plans: Sequence[dict[str, Any]] | None = None
) -> list[Person]:
    """New elders with a device each. `phone`: whose phone it is (elder, contact, nobody); `plans`: one for each."""
    made = [Person(uuid4(), f"smoke-{uuid4()}", next(_numbers)) for _ in range(count)]
    own = plans or [{}] * count
    async with database.transaction() as tx:
        statements: list[tuple[str, Any]] = [
            (
                "INSERT INTO elder (id, reference, name, risk, street, room, way_in, plan) "
                f"SELECT id, id::text, '{NAME}', 'medium', '{_STREET}', '{_ROOM}', '{WAY_IN}', plan "
                "FROM unnest(%s::uuid[], %s::jsonb[]) AS n (id, plan)",
                ([p.elder for p in made], [json.dumps(plan) for plan in own]),
            ),
            (
                "INSERT INTO device (id, elder_id, kind) SELECT *, 'smoke' FROM unnest(%s::text[], %s::uuid[])",
                ([p.device for p in made], [p.elder for p in made]),
            ),
        ]
        columns = ([p.elder for p in made], [p.number for p in made])
        if phone == "elder":
            statements.append(
                (
                    "INSERT INTO elder_phone (elder_id, position, number) "
                    "SELECT id, 1, number FROM unnest(%s::uuid[], %s::text[]) AS n (id, number)",
                    columns,
                )
            )
        if phone == "contact":
            statements.append(
                (
                    "INSERT INTO contact (id, elder_id, position, name, relation, number) SELECT gen_random_uuid(), "
                    "id, 1, '李明', '女儿', number FROM unnest(%s::uuid[], %s::text[]) AS n (id, number)",
                    columns,
                )
            )
        await tx.together(statements, commit=True)
    return made
