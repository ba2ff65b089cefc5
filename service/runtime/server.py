"""What the supervisor must know of a server."""

import asyncio
import signal
from abc import ABC, abstractmethod
from pathlib import Path

from service.runtime.place import Place, User
from service.runtime.ports import Listener


class Server(ABC):
    """One real server in the private root. Subclasses tell how; the supervisor does."""

    when_parent_dies = signal.SIGKILL
    """What the kernel sends to the server when this process ends without stopping it."""

    ready_within = 30.0
    """Seconds from start to ready; a recovery after a crash is part of it."""

    def __init__(self, place: Place, name: str, log_folder: Path) -> None:
        self.place = place
        self.name = name
        self.log = log_folder / f"{name}.log"

    @property
    def home(self) -> Path:
        """The server's folder as this process sees it."""
        return self.place.home(self.name)

    @property
    def inner(self) -> str:
        """The server's folder as the server sees it."""
        return self.place.inner(self.name)

    @property
    @abstractmethod
    def user(self) -> User:
        """The user it runs as."""

    @property
    @abstractmethod
    def listeners(self) -> list[Listener]:
        """The ports it will take."""

    @abstractmethod
    def prepare(self) -> None:
        """Make folders, configuration and first data. Blocks; called before every start, when
        no process of an earlier run is left."""

    @abstractmethod
    def argv(self) -> list[str]:
        """The command, as it reads inside the root. It must stay in the foreground."""

    @abstractmethod
    async def check(self) -> None:
        """Return when the server does its work; raise NotReadyError or OSError while it does not."""

    async def ask_to_stop(self, process: asyncio.subprocess.Process) -> None:
        """Begin a clean stop; the supervisor waits `stop_within` and then kills."""
        process.send_signal(signal.SIGTERM)

    stop_within = 10.0
    """Seconds that a clean stop may take."""


class NotReadyError(Exception):
    """The server runs but does not do its work yet."""
