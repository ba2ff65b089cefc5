"""The service: its roles wired together in one process."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from enum import StrEnum

import uvicorn
from fastapi import FastAPI

from agi.doors import Doors
from agi.server import AgiServer
from alarm_core.planbook import PlanBook
from alarm_core.store.alarms import Alarms
from alarm_core.store.calls import Calls
from alarm_core.store.commands import Commands
from alarm_core.store.database import Database, Listener
from alarm_core.store.devices import Devices
from alarm_core.store.intake import Service as IntakeService
from alarm_core.store.intake import SignalIntake
from alarm_core.store.nodes import Nodes
from ami.driver import NodeDriver
from ami.limits import NodeLimits, TrunkLimit
from dialplan.node import Trunk
from ingest.mqtt import MqttSource
from ingest.mqtt_settings import MqttSettings
from ivr.speech import EspeakEngine, Speech
from service.runtime.ports import Listener as PortListener
from service.servers import Endpoints
from service.settings import Settings
from service.worker import Worker

log = logging.getLogger("careline.service")


class Role(StrEnum):
    """What a process may do. One process does all by default."""

    API = "api"
    INGEST = "ingest"
    AGI = "agi"
    AMI = "ami"
    WORKER = "worker"


class Careline:
    """One process of the service. Postgres is the meeting place: nothing else is shared between processes."""

    def __init__(self, settings: Settings, endpoints: Endpoints, trunks: Collection[Trunk], roles: Collection[Role]):
        self.settings = settings
        self.endpoints = endpoints
        self.roles = frozenset(roles)
        self.owner = f"{socket.gethostname()}:{os.getpid()}"
        self.database = Database(endpoints.database_url)
        self.plans = PlanBook.load(settings.plans)
        self.alarms = Alarms(self.database)
        self.calls = Calls(self.database)
        service = IntakeService(duty=settings.duty_phones, timezone=settings.timezone, pace=settings.pace)
        self.intake = SignalIntake(self.database, self.alarms, self.plans, service)
        self.commands = Commands(self.database, self.owner, settings.lease_seconds)
        self.driver: NodeDriver | None = None
        self.worker: Worker | None = None
        self.mqtt: MqttSource | None = None
        self._trunks = tuple(trunks)
        self._agi: AgiServer | None = None
        self.started = asyncio.Event()

    async def run(self) -> None:
        """Run until cancelled. A role that cannot run ends the process, with its error."""
        for listener in self._listeners():
            listener.require_free()
        await asyncio.to_thread(self.database.migrate)
        try:
            async with asyncio.TaskGroup() as group:
                self._start(group)
                self.started.set()
        finally:
            await self._stop()

    def _start(self, group: asyncio.TaskGroup) -> None:
        if Role.AMI in self.roles:  # before the worker: of what an alarm decides, its call goes first
            self.driver = self._driver()
            self.intake.lines = self.driver
            group.create_task(self.driver.run())
        if Role.WORKER in self.roles:
            self.worker = Worker(
                alarms=self.alarms,
                calls=self.calls,
                commands=self.commands,
                devices=Devices(self.database),
                intake=self.intake,
                keep_heartbeats_days=self.settings.keep_heartbeats_days,
            )
            group.create_task(self.worker.run())
        if Role.AGI in self.roles:
            self._agi = self._agi_server()
            self._agi.start()
            # Its calls run in threads: this task keeps a process alive that has no other role.
            group.create_task(_for_ever())
        if Role.INGEST in self.roles:
            self.mqtt = MqttSource(
                MqttSettings.from_url(self.endpoints.mqtt_url), self.intake, clock=lambda: datetime.now(UTC)
            )
            group.create_task(self.mqtt.run())
        if Role.API in self.roles:
            group.create_task(self._serve_http())
        if self.driver or self.worker:
            group.create_task(Listener(self.database, self.alarms.heard).run())

    def _listeners(self) -> list[PortListener]:
        """The ports that this process's own roles need."""
        settings, found = self.settings, []
        if Role.API in self.roles:
            found.append(PortListener("http", settings.ports.http, settings.http_bind))
        if Role.AGI in self.roles:
            found.append(PortListener("agi", settings.ports.agi, settings.agi_bind))
        return found

    async def _stop(self) -> None:
        if self._agi is not None:
            await asyncio.to_thread(self._agi.stop, 1.0)
        if self.driver is not None:
            await self.driver.stop()
        await self.database.close()

    def _driver(self) -> NodeDriver:
        settings = self.settings
        limits = NodeLimits(
            max_channels=settings.node_max_channels,
            calls_per_second=settings.node_calls_per_second,
            trunks=tuple(TrunkLimit(t.name, t.max_channels, t.calls_per_second) for t in self._trunks),
            caller_id=settings.service_number,
        )
        nodes = Nodes(self.database, settings.node, self.owner, settings.lease_seconds)
        return NodeDriver(
            self.endpoints.ami, limits, nodes=nodes, alarms=self.alarms, calls=self.calls, commands=self.commands
        )

    def _agi_server(self) -> AgiServer:
        speech = Speech(EspeakEngine(self.endpoints.espeak), self.endpoints.sounds_dir, self.settings.prompt_recordings)
        doors = Doors(asyncio.get_running_loop(), self.alarms, self.calls, speech, self.settings.node)
        return AgiServer(self.settings.agi_bind, self.settings.ports.agi, doors.handle)

    async def _serve_http(self) -> None:
        config = uvicorn.Config(
            self._api(),
            host=self.settings.http_bind,
            port=self.settings.ports.http,
            log_config=None,
            access_log=False,
            lifespan="off",
        )
        await _QuietServer(config).serve()

    def _api(self) -> FastAPI:
        from service.api import create_app
        from service.api.context import ApiContext

        return create_app(ApiContext.of(self))


async def _for_ever() -> None:
    await asyncio.Event().wait()


class _QuietServer(uvicorn.Server):
    """Leaves the signals to the process: it has more to stop than this."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
