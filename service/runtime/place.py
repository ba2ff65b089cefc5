"""A private root as seen from outside: its folders, its users, and running a command in it."""

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from service.runtime.errors import PrivateRuntimeError

_GUARD = Path(__file__).with_name("guard.py")
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/", "LC_ALL": "C.UTF-8"}
"""All that a server sees of the environment: nothing of the caller's leaks into it."""


@dataclass(frozen=True)
class User:
    uid: int
    gid: int


ROOT_USER = User(0, 0)


@dataclass(frozen=True)
class Place:
    """Where an instance's servers live: ROOT/srv/<instance>/<server>/."""

    root: Path
    instance: str

    def home(self, server: str) -> Path:
        """The server's folder as this process sees it."""
        return self.root / "srv" / self.instance / server

    def inner(self, server: str) -> str:
        """The server's folder as the server sees it."""
        return f"/srv/{self.instance}/{server}"

    def user(self, name: str) -> User:
        """The user of that name in the root's own etc/passwd."""
        for line in (self.root / "etc/passwd").read_text().splitlines():
            fields = line.split(":")
            if fields[0] == name:
                return User(int(fields[2]), int(fields[3]))
        raise PrivateRuntimeError(
            f"{self.root} has no user {name!r}: it is incomplete. Delete "
            f"{self.root}/.careline-made and start again: it is then made anew, data kept."
        )

    def folder(self, path: Path, owner: User) -> Path:
        """Make a folder of mode 0700 that belongs to `owner`, or put those right."""
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(0o700)
        os.chown(path, owner.uid, owner.gid)
        return path

    def command(
        self,
        *command: str,
        user: User,
        folder: str = "/",
        when_parent_dies: signal.Signals = signal.SIGKILL,
    ) -> list[str]:
        """The argument list that runs `command` in the root; see guard.py for what it ensures."""
        return [
            *(sys.executable, "-I", "-S", str(_GUARD)),
            *(str(self.root), f"{user.uid}:{user.gid}", folder),
            *(str(int(when_parent_dies)), str(os.getpid())),
            *command,
        ]

    def run(self, *command: str, user: User, words: str = "", folder: str = "/") -> str:
        """Run a command of the root to its end, `words` on its standard input.

        Returns what it printed; a failure raises PrivateRuntimeError with the last of that.
        """
        done = subprocess.run(  # noqa: S603 -- argument lists of this package, no shell
            self.command(*command, user=user, folder=folder),
            check=False,
            input=words,
            text=True,
            env=ENVIRONMENT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        if done.returncode != 0:
            raise PrivateRuntimeError(f"{Path(command[0]).name} ended with {done.returncode}:\n{done.stdout[-2000:]}")
        return done.stdout
