"""An Asterisk in the private root. Its configuration is rendered elsewhere (package dialplan)."""

import asyncio
import os
import re
from collections.abc import Callable
from pathlib import Path

from service.runtime.errors import PrivateRuntimeError
from service.runtime.place import Place, User
from service.runtime.ports import Listener
from service.runtime.server import NotReadyError, Server

Render = Callable[[Path], None]
"""Writes asterisk.conf and its fellows into the folder it is given."""


class Asterisk(Server):
    stop_within = 5.0

    def __init__(
        self,
        place: Place,
        name: str,
        log_folder: Path,
        listeners: list[Listener],
        render: Render | None,
    ) -> None:
        """`listeners` begins with the AMI port. Without `render` etc_dir must be filled before."""
        super().__init__(place, name, log_folder)
        self._listeners = listeners
        self._render = render

    @property
    def etc_dir(self) -> Path:
        """The configuration folder as this process sees it."""
        return self.home / "etc"

    @property
    def user(self) -> User:
        return self.place.user("asterisk")

    @property
    def listeners(self) -> list[Listener]:
        return self._listeners

    def argv(self) -> list[str]:
        return ["/usr/sbin/asterisk", "-C", f"{self.inner}/etc/asterisk.conf", "-f", "-n"]

    def prepare(self) -> None:
        self.place.folder(self.home, self.user)
        self.place.folder(self.etc_dir, self.user)
        if self._render is not None:
            self._render(self.etc_dir)
        main = self.etc_dir / "asterisk.conf"
        if not main.exists():
            raise PrivateRuntimeError(f"{self.name} has no configuration: {main} is missing.")
        for folder in own_directories(main.read_text(encoding="utf-8"), self.inner):
            (self.home / folder).mkdir(parents=True, exist_ok=True)
        self._hand_over()

    async def check(self) -> None:
        ami = self._listeners[0]
        reader, writer = await asyncio.open_connection(ami.host, ami.number)
        try:
            greeting = await asyncio.wait_for(reader.readline(), 5)
        except TimeoutError as error:
            raise NotReadyError("AMI accepts but does not greet") from error
        finally:
            writer.close()
        if not greeting.startswith(b"Asterisk Call Manager"):
            raise NotReadyError(f"port {ami.number} is not AMI")
        # AMI greets before the last modules are loaded; only then do calls find their way.
        await self._console("core waitfullybooted")

    async def ask_to_stop(self, process: asyncio.subprocess.Process) -> None:
        """`core stop now`: a SIGTERM would wait for the calls while it refuses new ones."""
        try:
            await self._console("core stop now")
        except NotReadyError:
            process.terminate()

    async def _console(self, command: str) -> None:
        """Give a command over the control socket."""
        arguments = ("/usr/sbin/asterisk", "-C", f"{self.inner}/etc/asterisk.conf", "-rx", command)
        process = await asyncio.create_subprocess_exec(
            *self.place.command(*arguments, user=self.user),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            printed, _ = await asyncio.wait_for(process.communicate(), 10)
        except TimeoutError as error:
            raise NotReadyError(f"no answer to {command!r}") from error
        finally:
            if process.returncode is None:
                process.kill()
        if process.returncode != 0:
            raise NotReadyError(printed.decode(errors="replace").strip())

    def _hand_over(self) -> None:
        """Everything in the server's folder belongs to its user, whoever rendered it."""
        user = self.user
        for folder, names, files in os.walk(self.home):
            for path in (Path(folder), *(Path(folder, name) for name in (*names, *files))):
                if path.lstat().st_uid != user.uid:
                    os.chown(path, user.uid, user.gid, follow_symlinks=False)


def own_directories(asterisk_conf: str, inner: str) -> list[str]:
    """The folders under `inner` that asterisk.conf names, relative to it: Asterisk makes none."""
    section = re.search(r"^\[directories\]\s*\n(.*?)(?=^\[|\Z)", asterisk_conf, re.M | re.S)
    paths = re.findall(r"^\s*\w+\s*=>?\s*([^\s;]+)", section[1] if section else "", re.M)
    return [path.removeprefix(f"{inner}/") for path in paths if path.startswith(f"{inner}/")]
