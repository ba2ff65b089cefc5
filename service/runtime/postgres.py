"""PostgreSQL in the private root."""

import asyncio
import hashlib
import shutil
import signal
from pathlib import Path

import psycopg

from service.runtime.errors import PrivateRuntimeError
from service.runtime.place import Place, User
from service.runtime.ports import Listener
from service.runtime.server import NotReadyError, Server

DATABASE = "careline"
ROLE = "careline"
"""Owns the database, may create others (tests do), is no superuser."""

# Durable (fsync and synchronous_commit stand at their default, on) and small. The working
# shared memory of sysv kind needs no mounted /dev/shm.
_SETTINGS = """
listen_addresses = '{host}'
port = {port}
unix_socket_directories = '{inner}/run'
max_connections = 100
shared_buffers = 64MB
dynamic_shared_memory_type = sysv
max_wal_size = 512MB
jit = off
password_encryption = 'scram-sha-256'
log_min_messages = warning
log_line_prefix = '%m [%p] '
timezone = 'UTC'
log_timezone = 'UTC'
"""

# Over TCP only with the password; the superuser only from the server's own user in the root.
_ACCESS = """
local all postgres peer
host all {role} 127.0.0.1/32 scram-sha-256
"""


class Postgres(Server):
    # A fast shutdown: nothing to recover at the next start even after kill -9 of the launcher.
    when_parent_dies = signal.SIGINT
    ready_within = 60.0
    stop_within = 20.0

    def __init__(self, place: Place, log_folder: Path, port: int, password: str, host: str = "127.0.0.1") -> None:
        super().__init__(place, "postgres", log_folder)
        self._port = port
        self._host = host
        self._password = password

    @property
    def url(self) -> str:
        """The SQLAlchemy address (psycopg 3) of the service's database."""
        return f"postgresql+psycopg://{ROLE}:{self._password}@127.0.0.1:{self._port}/{DATABASE}"

    @property
    def user(self) -> User:
        return self.place.user("postgres")

    @property
    def listeners(self) -> list[Listener]:
        return [Listener("postgres", self._port, self._host)]

    def argv(self) -> list[str]:
        return [self._program("postgres"), "-D", f"{self.inner}/data"]

    def prepare(self) -> None:
        self.place.folder(self.home, self.user)
        self.place.folder(self.home / "run", self.user)
        data = self.home / "data"
        if not data.exists():
            self._create()
        self._require_version()
        # No process of an earlier run is left, so a pid in here can only mislead the server
        # into taking a stranger for its living predecessor.
        (data / "postmaster.pid").unlink(missing_ok=True)
        (data / "postgresql.conf").write_text(_SETTINGS.format(host=self._host, port=self._port, inner=self.inner))
        (data / "pg_hba.conf").write_text(_ACCESS.format(role=ROLE))
        for name in ("postgresql.conf", "pg_hba.conf"):
            shutil.chown(data / name, self.user.uid, self.user.gid)
        self._set_password(data)

    async def check(self) -> None:
        try:
            connection = await psycopg.AsyncConnection.connect(self.url.replace("+psycopg", ""), connect_timeout=5)
            async with connection:
                await connection.execute("select 1")
        except psycopg.Error as error:
            raise NotReadyError(str(error)) from error

    async def ask_to_stop(self, process: asyncio.subprocess.Process) -> None:
        process.send_signal(signal.SIGINT)

    def _create(self) -> None:
        """Make data folder, role and database; killed half-way, it begins anew the next time."""
        draft = self.home / "data.new"
        if draft.exists():
            shutil.rmtree(draft)
        self._run(
            *("initdb", "--username=postgres", "--encoding=UTF8", "--auth=peer"),
            *("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C.UTF-8"),
            f"--pgdata={self.inner}/data.new",
        )
        self._single_user("data.new", f"CREATE ROLE {ROLE} LOGIN CREATEDB")
        self._single_user("data.new", f"CREATE DATABASE {DATABASE} OWNER {ROLE}")
        draft.rename(self.home / "data")

    def _set_password(self, data: Path) -> None:
        """Give the role the present password, if the data does not have it already."""
        mark = data / "careline.password.sha256"
        wanted = hashlib.sha256(self._password.encode()).hexdigest()
        if mark.exists() and mark.read_text() == wanted:
            return
        self._single_user("data", f"ALTER ROLE {ROLE} PASSWORD '{self._quoted()}'")
        mark.write_text(wanted)

    def _quoted(self) -> str:
        if "\n" in self._password or "\\" in self._password:
            raise PrivateRuntimeError("the database password may hold no line break or backslash.")
        return self._password.replace("'", "''")

    def _single_user(self, folder: str, statement: str) -> None:
        """Run a statement without a server, so that no password is needed and no port opens."""
        words = f"{statement};\n"
        arguments = ("--single", "-j", "-D", f"{self.inner}/{folder}", "postgres")
        printed = self._run("postgres", *arguments, words=words + "\n")
        if "ERROR:" in printed or "FATAL:" in printed:  # its exit status is 0 all the same
            raise PrivateRuntimeError(f"PostgreSQL refused its first set-up:\n{printed[-2000:]}")

    def _run(self, program: str, *arguments: str, words: str = "") -> str:
        command = (self._program(program), *arguments)
        return self.place.run(*command, user=self.user, words=words, folder=self.inner)

    def _program(self, name: str) -> str:
        return f"/usr/lib/postgresql/{self._installed()}/bin/{name}"

    def _installed(self) -> str:
        versions = sorted((self.place.root / "usr/lib/postgresql").glob("*"))
        if not versions:
            raise PrivateRuntimeError(f"{self.place.root} holds no PostgreSQL: delete it, start again.")
        return versions[-1].name

    def _require_version(self) -> None:
        data = (self.home / "data/PG_VERSION").read_text().strip()
        if data != self._installed():
            raise PrivateRuntimeError(
                f"{self.home}/data is of PostgreSQL {data}, installed is {self._installed()}. "
                f"Put postgresql-{data} into docker/packages.txt, or move the data over with "
                "pg_dump (docs/operations.md)."
            )
