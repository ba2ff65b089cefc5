"""Signals over a real broker: whatever dies, a signal is in the record before it is acknowledged, and none is lost."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import paho.mqtt.client as paho
import psycopg
import pytest
import sqlalchemy.exc
from paho.mqtt.enums import CallbackAPIVersion
from prometheus_client import REGISTRY

from alarm_core.signal import Incoming
from ingest.memory import MemoryIntake
from ingest.mqtt import MqttSource
from ingest.mqtt_settings import MqttSettings
from service.runtime.__main__ import state_folder

ROOT = state_folder() / "root"
TOPIC = "careline/v1/devices/smoke-1/signal"
Version = Literal["5", "3.1.1"]
BOTH = pytest.mark.parametrize("version", ["5", "3.1.1"])

CONFIGURATION = """
user root
persistence true
persistence_location {inside}/
autosave_on_changes true
autosave_interval 1
max_queued_messages 0
max_inflight_messages {inflight}
log_dest none
{access}
listener {port} 127.0.0.1
{tls}
"""


class Broker:
    """A Mosquitto with its own folder; it keeps port and folder when it is killed and started again."""

    def __init__(self, folder: Path, *, inflight: int = 0, login: bool = False, tls: bool = False) -> None:
        self.folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        inside = "/" + str(folder.relative_to(ROOT))
        access = "allow_anonymous true"
        if login:
            command = ["chroot", str(ROOT), "mosquitto_passwd", "-b", "-c", f"{inside}/passwords", "ingest", "secret"]
            subprocess.run(command, check=True, capture_output=True)
            access = f"allow_anonymous false\npassword_file {inside}/passwords"
        certificates = f"certfile {inside}/cert.pem\nkeyfile {inside}/key.pem" if tls else ""
        (folder / "mosquitto.conf").write_text(
            CONFIGURATION.format(inside=inside, inflight=inflight, access=access, port=self.port, tls=certificates)
        )
        self._command = ["setpriv", "--pdeathsig", "KILL", "chroot", str(ROOT), "mosquitto"]
        self._command += ["-c", f"{inside}/mosquitto.conf"]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + 10
        while time.monotonic() < until:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            assert self._process.poll() is None, "the broker died at its start"
            time.sleep(0.02)
        raise AssertionError("the broker does not listen")

    def kill(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def settings(self, version: Version = "5") -> MqttSettings:
        return MqttSettings(port=self.port, version=version)

    def publish(self, payloads: Sequence[bytes], topic: str = TOPIC) -> None:
        """Publish with QoS 1 and return when the broker has acknowledged them all."""
        client = paho.Client(CallbackAPIVersion.VERSION2)
        client.max_inflight_messages_set(1000)
        client.connect("127.0.0.1", self.port)
        client.loop_start()
        for sent in [client.publish(topic, payload, qos=1) for payload in payloads]:
            sent.wait_for_publish(30)
            assert sent.is_published()
        client.disconnect()
        client.loop_stop()


def make_certificate(folder: Path) -> None:
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=127.0.0.1"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1"]
    command += ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    subprocess.run(command, check=True, capture_output=True)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    folder = ROOT / "srv" / "ingest-tests" / tmp_path.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def broker(folder: Path) -> Iterator[Broker]:
    broker = Broker(folder)
    broker.start()
    yield broker
    broker.kill()


@contextlib.asynccontextmanager
async def running(what: MqttSource | MqttSettings, intake: MemoryIntake | None = None) -> AsyncIterator[MqttSource]:
    source = what if isinstance(what, MqttSource) else MqttSource(what, intake or MemoryIntake())
    task = asyncio.create_task(source.run())
    try:
        yield source
        assert not task.done(), "the source ended by itself"
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until(true: Callable[[], bool], seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110 (what is waited for is any condition)
            await asyncio.sleep(0.01)


def alarm(name: str, state: str = "alarm") -> bytes:
    return json.dumps({"id": name, "kind": "smoke", "state": state, "at": "2026-11-22T05:13:00+08:00"}).encode()


def names(intake: MemoryIntake) -> list[str]:
    return [message_id for _, message_id in intake.signals]


async def with_session(settings: MqttSettings) -> None:
    """Connect once, so that the broker keeps messages for us from now on."""
    async with running(settings, MemoryIntake()) as source:
        await until(lambda: source.status.ready)


@BOTH
async def test_a_published_alarm_is_recorded(broker: Broker, version: Version) -> None:
    intake = MemoryIntake()
    async with running(broker.settings(version), intake) as source:
        await until(lambda: source.status.ready)
        await asyncio.to_thread(broker.publish, [alarm("1"), alarm("1"), alarm("2")])
        await until(lambda: source.status.committed == 3)
        assert names(intake) == ["1", "2"]
        (taken,) = {item.source for item in intake.signals.values()}
        assert (taken, source.trouble, source.status.waiting) == ("mqtt", None, 0)
        assert source.status.last_message_at is not None
    assert not source.status.connected


@BOTH
async def test_what_was_acknowledged_does_not_come_again(broker: Broker, version: Version) -> None:
    settings = broker.settings(version)
    async with running(settings, MemoryIntake()) as source:
        await until(lambda: source.status.ready)
        await asyncio.to_thread(broker.publish, [alarm("old")])
        await until(lambda: source.status.committed == 1)
        await asyncio.to_thread(broker.publish, [alarm("newer")])
        await until(lambda: source.status.committed == 2)
    intake = MemoryIntake()
    async with running(settings, intake) as source:
        await until(lambda: source.status.ready)
        await asyncio.to_thread(broker.publish, [alarm("newest")])
        await until(lambda: "newest" in names(intake))
    assert names(intake) == ["newest"]


@BOTH
async def test_the_broker_is_killed_with_a_full_queue_and_nothing_is_lost(broker: Broker, version: Version) -> None:
    settings = broker.settings(version)
    await with_session(settings)
    await asyncio.to_thread(broker.publish, [alarm(str(number)) for number in range(1500)])
    broker.kill()
    broker.start()
    intake = MemoryIntake()
    async with running(settings, intake):
        await until(lambda: len(intake.signals) == 1500)


@BOTH
async def test_the_broker_is_killed_while_a_batch_is_committed(broker: Broker, version: Version) -> None:
    intake = MemoryIntake(delay=1.0)
    async with running(broker.settings(version), intake) as source:
        await until(lambda: source.status.ready)
        await asyncio.to_thread(broker.publish, [alarm(str(number)) for number in range(50)])
        await until(lambda: source.status.received == 50)
        broker.kill()
        await until(lambda: not source.status.connected)
        broker.start()
        intake.delay = 0
        await until(lambda: source.status.ready)
        await asyncio.to_thread(broker.publish, [alarm("afterwards")])
        await until(lambda: len(intake.signals) == 51 and source.status.waiting == 0)


CONSUMER = """
import asyncio, sys
from ingest.memory import MemoryIntake
from ingest.mqtt import MqttSource
from ingest.mqtt_settings import MqttSettings
from service.runtime.__main__ import state_folder

class Never(MemoryIntake):
    async def take(self, batch):
        print("took", len(batch), flush=True)
        await asyncio.Event().wait()

asyncio.run(MqttSource(MqttSettings.from_url(sys.argv[1]), Never()).run())
"""


@BOTH
async def test_a_consumer_killed_before_the_commit_leaves_everything_to_the_next(
    broker: Broker, version: Version
) -> None:
    settings = broker.settings(version)
    await with_session(settings)
    await asyncio.to_thread(broker.publish, [alarm(str(number)) for number in range(40)])
    url = f"mqtt://127.0.0.1:{broker.port}?version={version}"
    consumer = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CONSUMER, url, stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[2]
    )
    assert consumer.stdout is not None
    assert (await asyncio.wait_for(consumer.stdout.readline(), 20)).startswith(b"took")
    consumer.kill()
    await consumer.wait()
    intake = MemoryIntake()
    async with running(settings, intake):
        await until(lambda: len(intake.signals) == 40)


@BOTH
async def test_while_the_database_is_away_nothing_is_acknowledged_and_then_all_is_stored(
    broker: Broker, version: Version
) -> None:
    away = True

    def fault(batch: Sequence[Incoming]) -> Exception | None:
        return sqlalchemy.exc.OperationalError("", {}, psycopg.OperationalError("gone")) if away else None

    intake = MemoryIntake(fault=fault)
    async with running(broker.settings(version), intake) as source:
        await until(lambda: source.status.ready)
        await asyncio.to_thread(broker.publish, [alarm(str(number), "heartbeat") for number in range(1500)])
        # MQTT 5 has a window: the broker keeps the rest.
        held = broker.settings().window if version == "5" else 1500
        await until(lambda: source.status.received >= held)
        await asyncio.sleep(0.3)  # that no more comes can only be waited for
        assert source.status.received == held
        assert source.status.committed == 0
        assert "database" in (source.trouble or "")
        away = False
        await until(lambda: len(intake.signals) == 1500)
        assert source.trouble is None


async def test_a_broker_that_lets_only_20_wait_does_not_stall(folder: Path) -> None:
    broker = Broker(folder, inflight=20)
    broker.start()
    try:
        intake = MemoryIntake(delay=0.05)
        async with running(broker.settings(), intake) as source:
            await until(lambda: source.status.ready)
            await asyncio.to_thread(broker.publish, [alarm(str(number)) for number in range(200)])
            await until(lambda: len(intake.signals) == 200)
    finally:
        broker.kill()


@BOTH
async def test_more_than_25_can_wait_for_their_commit(broker: Broker, version: Version) -> None:
    intake = MemoryIntake(delay=2.0)
    async with running(broker.settings(version), intake) as source:
        await until(lambda: source.status.ready)
        await asyncio.to_thread(broker.publish, [alarm(str(number)) for number in range(300)])
        await until(lambda: source.status.received == 300, seconds=5)
        intake.delay = 0
        await until(lambda: len(intake.signals) == 300)


@BOTH
async def test_bad_payloads_are_kept_whole_and_never_block_the_queue(broker: Broker, version: Version) -> None:
    large = json.dumps({"id": "large", "kind": "smoke", "state": "alarm", "maker": "x" * 1024 * 1024}).encode()
    noise = os.urandom(1024 * 1024)
    bad = [noise, b"", b"\x00", b'{"id": "1', b"[" * 200_000, "救命".encode("gb18030"), b'{"id": "\\ud800"}']
    intake = MemoryIntake()
    async with running(broker.settings(version), intake) as source:
        await until(lambda: source.status.ready)
        await asyncio.to_thread(broker.publish, [*bad, large, alarm("good")])
        await asyncio.to_thread(broker.publish, [alarm("x")], "careline/v1/adapters/acme/devices/d")
        await until(lambda: source.status.committed == len(bad) + 3)
    assert sorted(names(intake)) == ["good", "large"]
    assert sorted(item.payload for item in intake.rejected) == sorted([*bad, alarm("x")])
    dangerous = [item.payload for item in intake.rejected if item.dangerous]
    assert sorted(dangerous) == sorted(["救命".encode("gb18030"), alarm("x")])
    assert intake.rejected[-1].reason == "unknown_adapter"


async def test_a_platforms_push_comes_by_the_adapters_topic(broker: Broker) -> None:
    push = {"messageType": "eventReport", "eventType": 2, "deviceId": "theirs", "eventContent": {"sos_state": 1}}
    intake = MemoryIntake()
    async with running(broker.settings(), intake) as source:
        await until(lambda: source.status.ready)
        topic = "careline/v1/adapters/nbiot/devices/key-1"
        await asyncio.to_thread(broker.publish, [json.dumps(push).encode()], topic)
        await until(lambda: len(intake.signals) == 1)
    (taken,) = intake.signals.values()
    assert (taken.device_id, taken.kind, taken.source) == ("key-1", "one_key", "mqtt:nbiot")


@BOTH
async def test_with_tls_and_a_login_and_a_wrong_password_is_told(folder: Path, version: Version) -> None:
    make_certificate(folder)
    broker = Broker(folder, login=True, tls=True)
    broker.start()
    address = f"127.0.0.1:{broker.port}?version={version}"
    try:
        good = MqttSettings.from_url(f"mqtts://ingest:secret@{address}&ca_file={folder}/cert.pem")
        async with running(good, MemoryIntake()) as source:
            await until(lambda: source.status.ready)
        wrong = MqttSettings.from_url(f"mqtts://ingest:guess@{address}&ca_file={folder}/cert.pem")
        async with running(wrong, MemoryIntake()) as source:
            await until(lambda: "refuses us" in (source.trouble or ""))
            assert not source.status.connected
        stranger = MqttSettings.from_url(f"mqtts://ingest:secret@{address}")
        async with running(stranger, MemoryIntake()) as source:
            await until(lambda: "cannot be reached" in (source.trouble or ""))
    finally:
        broker.kill()


async def test_the_source_starts_before_its_broker(folder: Path) -> None:
    broker = Broker(folder)
    async with running(broker.settings(), MemoryIntake()) as source:
        await until(lambda: source.trouble == "the broker cannot be reached")
        broker.start()
        try:
            await until(lambda: source.status.ready)
            assert source.trouble is None
        finally:
            broker.kill()


CONNACK = bytes([0x20, 0x02, 0x00, 0x00])


@contextlib.asynccontextmanager
async def fake_broker(after_connect: bytes) -> AsyncIterator[tuple[int, list[float]]]:
    """Accepts MQTT 3.1.1 and then sends what no real broker would. Gives its port and the times of connections."""
    connections: list[float] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(time.monotonic())
        await reader.read(1024)
        writer.write(CONNACK + after_connect)
        await writer.drain()
        while await reader.read(1024):
            pass
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], connections
    finally:
        server.close()


def thread_deaths() -> float:
    return REGISTRY.get_sample_value("careline_ingest_mqtt_thread_deaths_total") or 0.0


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_when_pahos_thread_dies_it_is_started_again(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    right = MqttSource._on_connect
    calls = 0

    def fails_once(self: MqttSource, *arguments: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise ZeroDivisionError
        right(self, *arguments)

    monkeypatch.setattr(MqttSource, "_on_connect", fails_once)
    before = thread_deaths()
    intake = MemoryIntake()
    async with running(broker.settings(), intake) as source:
        await until(lambda: source.status.ready)
        await asyncio.to_thread(broker.publish, [alarm("1")])
        await until(lambda: names(intake) == ["1"])
    assert thread_deaths() == before + 1


async def test_an_exception_while_a_message_is_received_costs_nothing_but_time(broker: Broker) -> None:
    """The message is not acknowledged, so the broker sends it again at the next connection."""
    calls = 0

    def clock() -> datetime:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise ZeroDivisionError
        return datetime.now(UTC)

    before = thread_deaths()
    intake = MemoryIntake()
    source = MqttSource(broker.settings(), intake, clock=clock)
    async with running(source):
        await until(lambda: source.status.ready)
        await asyncio.to_thread(broker.publish, [alarm("1"), alarm("2")])
        await until(lambda: names(intake) == ["2"])
        broker.kill()
        broker.start()
        await until(lambda: names(intake) == ["2", "1"])
    assert thread_deaths() == before


async def test_refused_topics_are_told() -> None:
    suback = bytes([0x90, 0x04, 0x00, 0x01, 0x80, 0x80])
    async with (
        fake_broker(suback) as (port, _),
        running(MqttSettings(port=port, version="3.1.1"), MemoryIntake()) as source,
    ):
        await until(lambda: "refuses the topics" in (source.trouble or ""))
        assert source.status.connected
        assert not source.status.ready


async def test_when_memory_is_full_reading_stops_and_goes_on_afterwards(broker: Broker) -> None:
    intake = MemoryIntake(delay=0.2)
    settings = MqttSettings(port=broker.port, version="3.1.1", max_waiting_bytes=300_000)
    async with running(settings, intake) as source:
        await until(lambda: source.status.ready)
        payload = b"x" * 100_000
        await asyncio.to_thread(broker.publish, [payload] * 20)
        await until(lambda: bool(intake.batches))
        most = 0
        while source.status.committed < 20:
            most = max(most, source.status.waiting)
            await asyncio.sleep(0.01)
    assert most <= 4
    assert len(intake.rejected) == 20
