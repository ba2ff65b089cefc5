"""The private servers under real faults: each killed with -9, the launcher killed with -9."""

import asyncio
import json
import os
import shutil
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import paho.mqtt.client as paho
import psycopg
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from service.runtime import processes
from service.runtime.__main__ import state_folder
from service.runtime.errors import PrivateRuntimeError
from service.runtime.mosquitto import Mosquitto
from service.runtime.place import Place
from service.runtime.ports import Ports, free_ports
from service.runtime.postgres import Postgres
from service.runtime.private import PrivateRuntime

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="the private servers need root")

SERVERS = ("postgres", "mosquitto", "node")
INSTANCE = f"test-runtime-{os.getpid()}"


class Running(NamedTuple):
    runtime: PrivateRuntime
    postgres: Postgres
    mosquitto: Mosquitto


def assemble(instance: str, ports: Ports) -> Running:
    """The three servers, Asterisk with the least configuration that starts."""
    runtime = PrivateRuntime(state_folder(), instance, ports)
    folder = f"/srv/{instance}/node"

    def render(etc: Path) -> None:
        names = {"astetcdir": "etc", "astrundir": "run", "astdbdir": "db", "astlogdir": "log"}
        lines = [f"{key} => {folder}/{name}" for key, name in names.items()]
        (etc / "asterisk.conf").write_text("\n".join(["[directories]", *lines, ""]))
        (etc / "modules.conf").write_text("[modules]\nautoload = no\n")
        (etc / "manager.conf").write_text(f"[general]\nenabled = yes\nport = {ports.ami}\nbindaddr = 127.0.0.1\n")

    runtime.add_asterisk("node", render)
    return Running(runtime, runtime.use_postgres(), runtime.use_mosquitto())


@pytest.fixture
def ports() -> Iterator[Ports]:
    yield free_ports()
    home = Place(state_folder().resolve() / "root", INSTANCE).home("")
    left = processes.working_in(home)
    processes.end(left, within=10)
    shutil.rmtree(home, ignore_errors=True)
    shutil.rmtree(state_folder() / "logs" / INSTANCE, ignore_errors=True)
    assert not left, "a test left servers behind"


@pytest.fixture
async def running(ports: Ports) -> AsyncIterator[Running]:
    assembled = assemble(INSTANCE, ports)
    await assembled.runtime.start(print)
    yield assembled
    await assembled.runtime.stop()


async def execute(postgres: Postgres, statement: str) -> list[tuple[object, ...]]:
    address = postgres.url.replace("+psycopg", "")
    async with await psycopg.AsyncConnection.connect(address) as connection:
        cursor = await connection.execute(statement.encode())
        return await cursor.fetchall() if cursor.description else []


async def test_each_server_killed_comes_back_at_once_and_keeps_its_data(running: Running) -> None:
    runtime, postgres, _ = running
    await execute(postgres, "create table kept as select 42 as answer")
    for name in SERVERS:
        before = runtime.pid(name)
        await runtime.kill(name)
        await runtime.until_ready(name, within=15)
        assert runtime.pid(name) not in (None, before)
    assert await execute(postgres, "select answer from kept") == [(42,)]
    assert {(status.state, status.restarts) for status in runtime.status()} == {("ready", 1)}


async def test_a_server_killed_again_and_again_still_comes_back(running: Running) -> None:
    for _ in range(3):
        await running.runtime.kill("postgres")
        await running.runtime.until_ready("postgres", within=15)
    assert await execute(running.postgres, "select 1") == [(1,)]


async def test_stop_leaves_nothing_and_a_second_start_has_the_data(ports: Ports) -> None:
    first = assemble(INSTANCE, ports)
    await first.runtime.start(print)
    home = first.postgres.home.parent
    await execute(first.postgres, "create table kept as select 'yes' as word")
    pids = [status.pid for status in first.runtime.status() if status.pid]
    assert len(pids) == len(SERVERS)
    await first.runtime.stop()
    assert not any(processes.is_running(pid) for pid in pids)
    assert processes.working_in(home) == []
    assert first.runtime.status() == []

    second = assemble(INSTANCE, ports)
    await second.runtime.start(print)
    assert await execute(second.postgres, "select word from kept") == [("yes",)]
    await second.runtime.stop()


LAUNCHER = """
import asyncio, importlib.util, json, sys
spec = importlib.util.spec_from_file_location("story", sys.argv[1])
story = importlib.util.module_from_spec(spec)
spec.loader.exec_module(story)

async def main():
    running = story.assemble(sys.argv[2], story.Ports(**json.loads(sys.argv[3])))
    await running.runtime.start(lambda text: None)
    await story.execute(running.postgres, "create table if not exists kept (word text)")
    await story.execute(running.postgres, "insert into kept values ('before the kill')")
    print(json.dumps([running.runtime.pid(name) for name in story.SERVERS]), flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_the_launcher_killed_takes_all_servers_along(ports: Ports) -> None:
    command = [sys.executable, "-c", LAUNCHER, __file__, INSTANCE, json.dumps(vars(ports))]
    repository = str(Path(__file__).parents[2])
    launcher = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, cwd=repository)
    try:
        assert launcher.stdout is not None
        pids = json.loads(await launcher.stdout.readline())
        assert all(processes.is_running(pid) for pid in pids)
    finally:
        launcher.kill()
        await launcher.wait()
    await until(lambda: not any(processes.is_running(pid) for pid in pids), within=5)

    again = assemble(INSTANCE, ports)
    await again.runtime.start(print)
    assert await execute(again.postgres, "select word from kept") == [("before the kill",)]
    await again.runtime.stop()


async def test_a_server_of_an_earlier_run_is_ended_before_the_start(ports: Ports) -> None:
    home = Place(state_folder().resolve() / "root", INSTANCE).home("mosquitto")
    home.mkdir(parents=True)
    stale = await asyncio.create_subprocess_exec("/bin/sleep", "60", cwd=home)
    runtime = PrivateRuntime(state_folder(), INSTANCE, ports)
    runtime.use_mosquitto()
    await runtime.start(print)
    assert not processes.is_running(stale.pid)
    await runtime.stop()
    await stale.wait()


async def test_an_instance_runs_only_once(running: Running) -> None:
    second = assemble(INSTANCE, running.runtime.ports)
    with pytest.raises(PrivateRuntimeError, match=f"runs already.*{os.getpid()}"):
        await second.runtime.start(print)
    assert running.runtime.pid("postgres") is not None


async def test_a_taken_port_is_named_and_nothing_stays_up(ports: Ports) -> None:
    async def other(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    assembled = assemble(INSTANCE, ports)
    async with await asyncio.start_server(other, "127.0.0.1", ports.mqtt):
        with pytest.raises(PrivateRuntimeError, match=rf"{ports.mqtt}.*CARELINE_PORT_MQTT"):
            await assembled.runtime.start(print)
    assert processes.working_in(assembled.postgres.home.parent) == []


async def test_a_server_that_cannot_start_tells_the_end_of_its_log(ports: Ports) -> None:
    runtime = PrivateRuntime(state_folder(), INSTANCE, ports)

    def broken(etc: Path) -> None:
        (etc / "asterisk.conf").write_text("[directories]\nastetcdir => /nowhere\n")
        (etc / "modules.conf").write_text("[modules]\nrequire = no_such_module.so\n")

    runtime.add_asterisk("node", broken)
    with pytest.raises(PrivateRuntimeError, match=r"node did not start(.|\n)*node\.log"):
        await runtime.start(print)


async def test_signals_survive_a_killed_broker(running: Running) -> None:
    """1,500 messages (more than the broker's usual limit) wait for a service that is away."""
    runtime, _, mosquitto = running
    service = Client(mosquitto, "careline", runtime.secrets.get("mqtt_service"), "service")
    await service.subscribe("careline/v1/devices/+/signal")
    service.leave()

    device = Client(mosquitto, "devices", runtime.secrets.get("mqtt_devices"), "device")
    await device.publish([(f"careline/v1/devices/d{number}/signal", b"{}") for number in range(1500)])
    await device.publish([("careline/v1/devices/big/signal", b"x" * 1_048_576)])
    device.leave()
    await asyncio.sleep(1.5)  # the broker writes what it holds once a second
    await runtime.kill("mosquitto")
    await runtime.until_ready("mosquitto")

    service = Client(mosquitto, "careline", runtime.secrets.get("mqtt_service"), "service")
    await until(lambda: len(service.heard) == 1501, within=20)
    service.leave()


async def test_devices_speak_and_do_not_listen_and_strangers_do_neither(running: Running) -> None:
    runtime, _, mosquitto = running
    word = runtime.secrets.get("mqtt_devices")
    spy = Client(mosquitto, "devices", word, "spy")
    await spy.subscribe("careline/#")
    device = Client(mosquitto, "devices", word, "device")
    service = Client(mosquitto, "careline", runtime.secrets.get("mqtt_service"), "service")
    await service.subscribe("careline/#")
    await device.publish([("careline/v1/commands", b"forged"), ("careline/v1/devices/d/signal", b"true")])
    await until(lambda: service.heard == ["careline/v1/devices/d/signal"], within=5)
    assert spy.heard == []
    for client in (spy, device, service):
        client.leave()
    with pytest.raises(AssertionError, match="refused"):
        Client(mosquitto, "devices", "guessed", "stranger")


async def test_passwords_are_needed_for_the_database(running: Running) -> None:
    wrong = running.postgres.url.replace("+psycopg", "").replace(running.runtime.secrets.get("postgres"), "guessed")
    with pytest.raises(psycopg.OperationalError, match="password"):
        await psycopg.AsyncConnection.connect(wrong)
    [(superuser,)] = await execute(running.postgres, "select rolsuper from pg_roles where rolname = current_user")
    assert superuser is False


class Client:
    """An MQTT client (v5, session kept for an hour) that acknowledges and lists what it hears."""

    def __init__(self, mosquitto: Mosquitto, user: str, password: str, name: str) -> None:
        self.heard: list[str] = []
        self._reasons: list[bool] = []
        self._client = paho.Client(CallbackAPIVersion.VERSION2, name, protocol=paho.MQTTv5)
        self._client.username_pw_set(user, password)
        self._client.on_connect = lambda *arguments: self._reasons.append(not arguments[3].is_failure)
        self._client.on_message = lambda _client, _user, message: self.heard.append(message.topic)
        keep = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho leaves it untyped
        keep.SessionExpiryInterval = 3600
        self._client.connect("127.0.0.1", mosquitto.listeners[0].number, clean_start=False, properties=keep)
        while not self._reasons:
            self._client.loop(0.1)
        assert self._reasons == [True], "the broker refused the login"
        self._client.loop_start()

    async def subscribe(self, topic: str) -> None:
        done: list[bool] = []
        self._client.on_subscribe = lambda *_: done.append(True)
        self._client.subscribe(topic, qos=1)
        await until(lambda: bool(done), within=5)

    async def publish(self, messages: list[tuple[str, bytes]]) -> None:
        """Publish with QoS 1 and return when the broker has taken all."""
        sent = [self._client.publish(topic, payload, qos=1) for topic, payload in messages]
        await until(lambda: all(info.is_published() for info in sent), within=20)

    def leave(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


async def until(holds: Callable[[], bool], within: float) -> None:
    async with asyncio.timeout(within):
        while not holds():  # noqa: ASYNC110 -- what is awaited lies in other processes
            await asyncio.sleep(0.05)
