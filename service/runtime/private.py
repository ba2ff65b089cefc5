"""One instance of the private servers: what the service, the demo and the tests start."""

import asyncio
import fcntl
import os
import re
from collections.abc import Callable
from io import TextIOWrapper
from pathlib import Path
from typing import TypeVar

from service.runtime.asterisk import Asterisk, Render
from service.runtime.errors import PrivateRuntimeError
from service.runtime.mosquitto import DEVICES_USER, SERVICE_USER, Mosquitto, MqttSettings
from service.runtime.place import Place
from service.runtime.ports import Listener, Ports
from service.runtime.postgres import Postgres
from service.runtime.root import ensure_root, refresh
from service.runtime.secrets import Secrets
from service.runtime.server import Server
from service.runtime.supervisor import Status, Supervisor

ServerT = TypeVar("ServerT", bound=Server)


class PrivateRuntime:
    """Real servers in the private root of a state folder, each under ROOT/srv/<instance>/.

    Take what is needed (`use_postgres`, `use_mosquitto`, `add_asterisk`), then `start`. Several
    instances with ports of their own can share a state folder; one instance runs only once.
    The servers end with this process, however it ends. The kernel takes "this process" for the
    thread that started them, so `start` belongs into an event loop that lives as long as they do.
    """

    def __init__(self, state: Path, instance: str, ports: Ports, *, resolver: bool = False) -> None:
        """`resolver`: let Asterisk look up names of other machines (see root.refresh)."""
        if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", instance):
            raise ValueError(f"{instance!r} is not a name for an instance: a-z, 0-9, - and _")
        self.state = state.resolve()
        self.ports = ports
        self.secrets = Secrets(self.state / "secrets")
        self._resolver = resolver
        self._place = Place(Path(os.environ.get("CARELINE_ROOT") or self.state / "root"), instance)
        self._logs = self.state / "logs" / instance
        self._servers: dict[str, Server] = {}
        self._supervisor: Supervisor | None = None
        self._lock: TextIOWrapper | None = None

    @property
    def root(self) -> Path:
        """The private root."""
        return self._place.root

    @property
    def log_folder(self) -> Path:
        """Where each server's output is kept, as <server>.log."""
        return self._logs

    def use_postgres(self, host: str = "127.0.0.1") -> Postgres:
        """Have a PostgreSQL named "postgres"; its address is `.url`."""
        password = self.secrets.get("postgres")
        return self._add(Postgres(self._place, self._logs, self.ports.postgres, password, host))

    def use_mosquitto(self, settings: MqttSettings | None = None) -> Mosquitto:
        """Have a Mosquitto named "mosquitto"; the service's address is `.url`.

        Devices log in as "devices" with the secret "mqtt_devices".
        """
        passwords = {
            SERVICE_USER: self.secrets.get("mqtt_service"),
            DEVICES_USER: self.secrets.get("mqtt_devices"),
        }
        settings = settings or MqttSettings()
        ports = (self.ports.mqtt, self.ports.mqtt_tls)
        return self._add(Mosquitto(self._place, self._logs, *ports, passwords, settings))

    def add_asterisk(
        self,
        name: str,
        render: Render | None = None,
        *,
        network: bool = False,
        host: str = "127.0.0.1",
    ) -> Asterisk:
        """Have an Asterisk of that name, on the AMI and SIP ports of Ports.

        `render` is called with the etc folder before every start. The configuration must name
        folders under the server's `.inner` only. `network` takes the ports of the telephone
        network of tests and demo. `host` is where SIP listens; AMI is always local.
        """
        prefix = "network_" if network else ""
        ami, sip = f"{prefix}ami", f"{prefix}sip"
        listeners = [
            Listener(ami, getattr(self.ports, ami)),
            Listener(sip, getattr(self.ports, sip), host, "udp"),
        ]
        return self._add(Asterisk(self._place, name, self._logs, listeners, render))

    async def start(self, progress: Callable[[str], None]) -> None:
        """Make the root if it is missing, start all servers, return when all are ready.

        Raises PrivateRuntimeError, with every server stopped again, when one cannot be started.
        """
        if os.geteuid() != 0:
            raise PrivateRuntimeError(
                "the private servers need root (chroot, own users): use sudo, or your own servers "
                "through CARELINE_DATABASE_URL, CARELINE_MQTT_URL and CARELINE_AMI_URL."
            )
        await asyncio.to_thread(ensure_root, self.state, progress)
        if not os.environ.get("CARELINE_ROOT"):
            refresh(self.root, resolver=self._resolver)
        self._take_lock()
        progress(f"starting {', '.join(self._servers)} …")
        supervisor = Supervisor(list(self._servers.values()))
        try:
            await supervisor.start()
        except BaseException:
            self._release_lock()
            raise
        self._supervisor = supervisor
        progress("servers are ready")

    async def stop(self) -> None:
        """Stop all servers; the data stays."""
        if self._supervisor is not None:
            await self._supervisor.stop()
            self._supervisor = None
        self._release_lock()

    def status(self) -> list[Status]:
        """Each server at this moment; empty when stopped."""
        return self._supervisor.status() if self._supervisor else []

    def pid(self, name: str) -> int | None:
        """The process id of a server; None while it is down."""
        return self._running().keeper(name).pid

    async def kill(self, name: str) -> None:
        """SIGKILL a server and return when it is dead; it is started again (for tests)."""
        await self._running().keeper(name).kill()

    async def until_ready(self, name: str, within: float = 30.0) -> None:
        """Return when a server is ready (again)."""
        await self._running().keeper(name).until_ready(within)

    def _running(self) -> Supervisor:
        if self._supervisor is None:
            raise PrivateRuntimeError("the private servers are not started.")
        return self._supervisor

    def _add(self, server: ServerT) -> ServerT:
        if server.name in self._servers:
            raise ValueError(f"there is a server named {server.name!r} already")
        self._servers[server.name] = server
        return server

    def _take_lock(self) -> None:
        path = self._place.home("lock")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.parent.chmod(0o755)  # the servers' users pass through it, whatever our umask
        file = path.open("a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip()
            file.close()
            raise PrivateRuntimeError(
                f"the instance {self._place.instance!r} runs already (pid {holder}): stop it, or "
                "set CARELINE_STATE to another folder."
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        self._lock = file

    def _release_lock(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None
