"""The whole service on real servers, for tests: private servers, a played telephone network, role processes to kill."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import paho.mqtt.publish
from paho.mqtt import MQTTException

from alarm_core.alarm import Alarm
from alarm_core.events import StaffEntry
from alarm_core.people import ContactFields, ElderFields, NewDevice
from alarm_core.planbook import PlanBook
from alarm_core.store.alarms import Alarms, replayed
from alarm_core.store.database import AWAY, Database
from alarm_core.store.people import People
from alarm_core.store.record import Happening
from ami.link import Link
from dialplan.network import call_in, check_script
from dialplan.phones import PhoneCall, PhoneLog
from service.app import Role
from service.runtime.ports import free_ports, setting
from service.servers import PlayedNetwork, Servers
from service.settings import Settings, TrunkSettings

DUTY = "13900001799"
"""Behaviour 17: picks up and takes the alarm."""
_ALL = "+".join(Role)


@dataclass
class Home:
    """One elder of a test, with the phones around the elder."""

    elder_id: uuid.UUID
    device: str
    phone: str
    contacts: tuple[str, ...]
    signals: list[str] = field(default_factory=list)


class World:
    """`pace` shortens the plans' delays, `phones` those of the played phones."""

    def __init__(
        self,
        state: Path,
        *,
        pace: float = 0.12,
        phones: float = 0.3,
        duty: Sequence[str] = (DUTY,),
        max_channels: int = 40,
        calls_per_second: float = 20.0,
        lease_seconds: float = 2.0,
        record: bool = False,
    ) -> None:
        self.settings = Settings(
            state=state,
            instance=f"test-{os.getpid()}-{uuid.uuid4().hex[:6]}",
            ports=free_ports(),
            duty_phones=tuple(duty),
            pace=pace,
            lease_seconds=lease_seconds,
            node_max_channels=max_channels,
            node_calls_per_second=calls_per_second,
        )
        self.settings.trunk = TrunkSettings(
            host="127.0.0.1",
            port=self.settings.ports.network_sip,
            max_channels=max_channels,
            calls_per_second=calls_per_second,
        )
        self.servers = Servers(self.settings, PlayedNetwork(pace=phones, record=record))
        self.database = Database(self.servers.endpoints.database_url)
        self.alarms = Alarms(self.database)
        self.phones = PhoneLog(self.servers.phones_log)
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        self._serials: dict[str, int] = {}

    async def start(self, *roles: str) -> None:
        """Servers, then a process for each of `roles` (names joined by + share one; none: one process for all)."""
        await self.servers.start(lambda message: None)
        await asyncio.to_thread(self.database.migrate)
        for role in roles or (_ALL,):
            await self.run(role)
        await self.until(self.ready, "the service to be ready", 30)

    async def stop(self) -> None:
        for process in self._processes.values():
            if process.returncode is None:
                process.terminate()
        await asyncio.gather(*(process.wait() for process in self._processes.values()))
        await self.database.close()
        await self.servers.stop()
        # The servers' data go; their logs and the roles' stay, for whoever asks why a test failed.
        shutil.rmtree(self.servers.phones_log.parents[1])

    async def ready(self) -> bool:
        """Whether somebody drives the node, conversations are served, and no process has ended by itself."""
        ended = [role for role, process in self._processes.items() if process.returncode is not None]
        assert not ended, f"the process of {ended} has ended"
        _, writer = await asyncio.open_connection("127.0.0.1", self.settings.ports.agi)
        writer.close()
        held = await self.rows("SELECT 1 FROM node WHERE lease_until > clock_timestamp()")
        return bool(held)

    async def run(self, role: str, *, name: str = "") -> None:
        """Start (again) the process of a role. `name`: of a second process of it."""
        options = [part for name in role.split("+") for part in ("--role", name)]
        log = (self.settings.state / "logs" / f"{self.settings.instance}-{role[:20]}.log").open("ab")
        self._processes[name or role] = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "service", "serve", *options), env=self._environment(), stdout=log, stderr=log
        )
        log.close()

    async def kill(self, victim: str) -> None:
        """kill -9 of a server ("postgres", "mosquitto", "asterisk") or of a role's process."""
        if victim in self._processes:
            self._processes[victim].send_signal(signal.SIGKILL)
            await self._processes[victim].wait()
        else:
            await self.servers.runtime.kill(victim)

    @contextmanager
    def frozen(self, server: str) -> Iterator[None]:
        """The server takes packets and answers none, as if the line to it were cut."""
        (pid,) = [status.pid for status in self.servers.runtime.status() if status.name == server]
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    async def home(
        self,
        *contacts: str | None,
        phone: str = "00",
        kind: str = "smoke",
        name: str = "王桂兰",
        risk: Any = "medium",
        heartbeat_seconds: int | None = None,
        plan: dict[str, dict[str, Any]] | None = None,
    ) -> Home:
        """An elder with contacts. Two digits choose a behaviour and get a number of their own; longer ones stand as
        they are; None: a contact without a number; a phone of "": an elder without a phone."""
        people = People(self.database, PlanBook.load())
        numbers = [self._number(contact) for contact in contacts]
        own = self._number(phone)
        fields = ElderFields(
            reference=uuid.uuid4().hex, name=name, risk=risk, phones=[own] if own else [], plan=plan or {}
        )
        elder = await people.add_elder(fields)
        for position, number in enumerate(numbers):
            await people.add_contact(elder.id, ContactFields(name=f"联系人{position}", relation="家属", number=number))
        device = f"dev-{uuid.uuid4().hex[:10]}"
        await people.add_device(NewDevice(id=device, elder_id=elder.id, kind=kind, heartbeat_seconds=heartbeat_seconds))
        return Home(elder.id, device, own or "", tuple(number or "" for number in numbers))

    async def signal(self, device: str, *, kind: str = "smoke", state: str = "alarm", **changes: Any) -> str:
        """Publish the contract's JSON; returns the message's id."""
        message_id = uuid.uuid4().hex
        now = datetime.now(UTC).isoformat()
        payload = {"id": message_id, "kind": kind, "at": now, "state": state, "value": 1, "battery": 0.9, **changes}
        await self.publish(f"careline/v1/devices/{device}/signal", json.dumps(payload).encode())
        return str(payload["id"])

    async def signal_until_taken(self, device: str, **changes: Any) -> None:
        """As a device does: the same message again and again, until the broker has it."""
        message_id, at = uuid.uuid4().hex, datetime.now(UTC).isoformat()

        async def sent() -> bool:
            try:
                await self.signal(device, id=message_id, at=at, **changes)
            except (OSError, MQTTException):
                return False
            return True

        await self.until(sent, "the broker to take a signal")

    async def signals(self, devices: Iterable[str], *, kind: str) -> None:
        """One alarm of each device, as fast as the broker takes them."""
        now = datetime.now(UTC).isoformat()
        await self.publish_all(
            [
                (
                    f"careline/v1/devices/{device}/signal",
                    json.dumps({"id": uuid.uuid4().hex, "kind": kind, "at": now, "state": "alarm"}).encode(),
                )
                for device in devices
            ]
        )

    async def publish_all(self, messages: Iterable[tuple[str, bytes]]) -> None:
        """Topics and payloads, QoS 1, over one connection."""
        all_of_them: list[Any] = [(topic, payload, 1, False) for topic, payload in messages]
        await asyncio.to_thread(paho.mqtt.publish.multiple, all_of_them, **self._broker())

    async def publish(self, topic: str, payload: bytes) -> None:
        """QoS 1; returns when the broker has it."""
        await asyncio.to_thread(paho.mqtt.publish.single, topic, payload, qos=1, **self._broker())

    async def script(self, number: str, *steps: str) -> None:
        """What the phone does: one script for all calls, or several for the first, the second … call."""
        link = await Link.open(self.servers.network_ami, lambda event: None)
        try:
            if len(steps) == 1:
                await link.db_put("script", number, check_script(steps[0]))
            for index, step in enumerate(steps, 1):
                await link.db_put(f"script/{number}", str(index), check_script(step))
        finally:
            await link.close()

    async def script_all(self, numbers: Iterable[str], steps: str) -> None:
        """One script for many phones."""
        link = await Link.open(self.servers.network_ami, lambda event: None)
        try:
            for number in numbers:
                await link.db_put("script", number, check_script(steps))
        finally:
            await link.close()

    async def phone_calls_in(self, number: str, script: str) -> None:
        """The phone dials our number and follows the script when we answer."""
        link = await Link.open(self.servers.network_ami, lambda event: None)
        try:
            await link.db_put("caller", number, check_script(script))
            await link.action("Originate", call_in(number))
        finally:
            await link.close()

    async def until_hung_up(self, number: str) -> None:
        """Until the phone is on no call: a person hangs up a dead line after a while."""

        async def idle() -> bool:
            return all(call.ended_at for call in self.phones.calls(number))

        await self.until(idle, "the phone to be put down")

    async def until_calls(self, number: str, count: int) -> None:
        """Until the phone has had so many calls, its own included."""

        async def enough() -> bool:
            return len(self.phones.calls(number)) >= count

        await self.until(enough, f"call {count} at a phone")

    async def staff_resolves(self, home: Home) -> None:
        """A person of the service ends the elder's alarm."""
        alarm = await self.alarm_of(home)
        assert alarm is not None
        event = StaffEntry(action="resolve", by="tests")
        await self.alarms.apply(alarm.id, Happening(event, "staff:tests", None))

    async def end_all(self) -> None:
        """Staff end and close every alarm; returns when no call is left."""
        for (alarm_id,) in await self.rows("SELECT id FROM alarm WHERE phase <> 'closed'"):
            done = [StaffEntry(action="resolve", by="tests"), StaffEntry(action="close", by="tests")]
            await self.alarms.apply(alarm_id, *(Happening(event, "staff:tests", None) for event in done))

        async def quiet() -> bool:
            return not await self.rows("SELECT 1 FROM call WHERE ended_at IS NULL")

        await self.until(quiet, "the last calls to end")

    async def alarm_of(self, home: Home) -> Alarm | None:
        """The elder's latest alarm."""
        sql = "SELECT id FROM alarm WHERE elder_id = %s ORDER BY opened_at DESC LIMIT 1"
        rows = await self.rows(sql, (home.elder_id,))
        return await self.alarms.load(rows[0][0]) if rows else None

    async def rows(self, sql: str, params: Sequence[Any] = ()) -> list[Any]:
        async with self.database.transaction() as tx:
            return await tx.all(sql, params)

    async def until(self, holds: Callable[[], Awaitable[Any]], what: str, seconds: float = 30.0) -> Any:
        """Wait until it holds and return what it gave; the database may be away meanwhile."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                if found := await holds():
                    return found
            except (*AWAY, ConnectionError):
                pass
            await asyncio.sleep(0.05)
        raise AssertionError(f"waited {seconds} s for {what}")

    async def until_alarm(self, home: Home, holds: Callable[[Alarm], Any], what: str, seconds: float = 30.0) -> Alarm:
        async def found() -> Alarm | None:
            alarm = await self.alarm_of(home)
            return alarm if alarm is not None and holds(alarm) else None

        try:
            alarm: Alarm = await self.until(found, what, seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}; what happened:\n{await self.story(home)}") from None
        return alarm

    async def story(self, home: Home) -> str:
        """The log of the elder's latest alarm, a line for each event: what a failed test needs to be understood."""
        alarm = await self.alarm_of(home)
        if alarm is None:
            return "no alarm"
        sql = "SELECT seq, at, type, source, data - 'brief' - 'plan' FROM event WHERE alarm_id = %s ORDER BY seq"
        events = [
            f"{seq:4} {at:%M:%S.%f} {name:14} {source:12} {data}"
            for seq, at, name, source, data in await self.rows(sql, (alarm.id,))
        ]
        phones = {home.phone, *home.contacts, *self.settings.duty_phones}
        heard = [
            f"     {datetime.fromtimestamp(e.at, UTC):%M:%S.%f} {e.number} {e.event} {e.detail}"
            for e in self.phones.events()
            if e.number in phones
        ]
        state = alarm.model_dump(mode="json", exclude={"brief"})
        return "\n".join([*events, *heard, str(state)])

    async def check_record(self) -> None:
        """What must hold of every run: no phone rang twice at once, every call of a phone is in the record, and each
        alarm's log, applied from the beginning, gives the alarm as it is stored."""
        twice = self.phones.ringing_twice()
        assert not twice, f"two calls at one phone at the same moment: {twice}"
        recorded = await self.rows(
            "SELECT number, extract(epoch FROM placed_at)::float8 FROM call WHERE direction = 'out'"
        )
        led = [call for call in self.phones.calls() if call.events[0] == "dial"]
        for call in self.phones.calls():
            if call in led or (call.number in self.settings.duty_phones and _led_there(call, led)):
                continue  # what the dialplan places by itself is not in the record
            near = [at for number, at in recorded if number == call.number and abs(at - call.began_at) < 5]
            assert near, f"a call that the phone {call.number} had is not in the record"
        for (alarm_id,) in await self.rows("SELECT id FROM alarm"):
            assert replayed(alarm_id, await self.alarms.history(alarm_id)) == await self.alarms.load(alarm_id)

    def _broker(self) -> Any:
        url = urlsplit(self.servers.endpoints.mqtt_url)
        login = {"username": unquote(url.username or ""), "password": unquote(url.password or "")}
        return {"hostname": url.hostname or "", "port": url.port or 0, "auth": login}

    def _number(self, behaviour: str | None) -> str | None:
        if not behaviour or len(behaviour) > 2:
            return behaviour or None
        serial = self._serials[behaviour] = self._serials.get(behaviour, 19) + 1
        assert serial < 100, f"no numbers of behaviour {behaviour} are left"
        return f"1390000{behaviour}{serial:02d}"

    def _environment(self) -> dict[str, str]:
        settings = self.settings
        chosen = {setting(f.name): str(getattr(settings.ports, f.name)) for f in fields(settings.ports)}
        return {
            **os.environ,
            **chosen,
            "CARELINE_STATE": str(settings.state),
            "CARELINE_INSTANCE": settings.instance,
            "CARELINE_PACE": str(settings.pace),
            "CARELINE_DUTY_PHONES": ",".join(settings.duty_phones),
            "CARELINE_LEASE_SECONDS": str(settings.lease_seconds),
            "CARELINE_NODE_MAX_CHANNELS": str(settings.node_max_channels),
            "CARELINE_NODE_CALLS_PER_SECOND": str(settings.node_calls_per_second),
            "CARELINE_TRUNK_HOST": "127.0.0.1",
            "CARELINE_TRUNK_PORT": str(settings.ports.network_sip),
            "CARELINE_TRUNK_MAX_CHANNELS": str(settings.node_max_channels),
            "CARELINE_TRUNK_CALLS_PER_SECOND": str(settings.node_calls_per_second),
        }


def _led_there(call: PhoneCall, calls_in: Iterable[PhoneCall]) -> bool:
    """Whether somebody was calling in when it began: an unknown caller, or one who found the service away."""
    return any(one.began_at <= call.began_at <= (one.ended_at or call.began_at) for one in calls_in)
