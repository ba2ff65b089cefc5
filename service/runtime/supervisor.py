"""Start servers, watch them, start them again when they die, stop them."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from service.runtime import logs, processes
from service.runtime.errors import PrivateRuntimeError
from service.runtime.place import ENVIRONMENT
from service.runtime.server import NotReadyError, Server

log = logging.getLogger("careline.runtime")

State = Literal["stopped", "starting", "ready", "waiting"]
"""`waiting`: it died, or could not be started, and is tried again after a pause."""

STEADY = 5.0
"""Seconds that a server must have been ready for, before its death counts as the first again."""
_TRIM_EVERY = 60.0


@dataclass(frozen=True)
class Status:
    """One server at this moment."""

    name: str
    state: State
    pid: int | None
    restarts: int
    problem: str
    """Why it is not ready, as far as known; empty when it is."""


def pause_before_restart(deaths_in_a_row: int) -> float:
    """Seconds to wait: none after the first death, then 0.5, 1, 2, 4, and 8 from there on."""
    return 0.0 if deaths_in_a_row <= 1 else min(8.0, 0.5 * 2 ** (deaths_in_a_row - 2))


class Keeper:
    """Keeps one server running."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._process: asyncio.subprocess.Process | None = None
        self._watch: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()
        self._state: State = "stopped"
        self._restarts = 0
        self._problem = ""
        self._record = server.home.with_name(f"{server.name}.pid")

    @property
    def status(self) -> Status:
        return Status(self.server.name, self._state, self.pid, self._restarts, self._problem)

    @property
    def pid(self) -> int | None:
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    async def start(self) -> None:
        """Start the server and return when it is ready; an error says why it is not."""
        await asyncio.to_thread(self._clear_leftovers)
        for listener in self.server.listeners:
            listener.require_free()
        await self._start_once()
        self._watch = asyncio.create_task(self._keep(), name=f"keeper of {self.server.name}")

    async def stop(self) -> None:
        """Stop it cleanly, by force when that takes too long; nothing of it is left."""
        if self._watch is not None:
            self._watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watch
            self._watch = None
        await self._end_process()
        await asyncio.to_thread(self._clear_leftovers)
        self._state = "stopped"

    async def kill(self) -> None:
        """SIGKILL the server and return when it is dead (for tests of what happens then)."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        self._ready.clear()
        process.kill()
        await process.wait()

    async def until_ready(self, within: float) -> None:
        """Return when the server is ready; PrivateRuntimeError if it is not in so many seconds."""
        try:
            await asyncio.wait_for(self._ready.wait(), within)
        except TimeoutError:
            raise PrivateRuntimeError(f"{self.server.name} is not ready after {within:g} s: {self._problem}") from None

    async def _keep(self) -> None:
        deaths = 0
        while True:
            ready_since = time.monotonic()
            assert self._process is not None
            code = await self._process.wait()
            self._ready.clear()
            deaths = 1 if time.monotonic() - ready_since > STEADY else deaths + 1
            self._problem = f"it ended with {code}"
            log.error("%s ended with %s; starting it again", self.server.name, code)
            while not await self._restart(pause_before_restart(deaths)):
                deaths += 1

    async def _restart(self, pause: float) -> bool:
        self._state = "waiting"
        await asyncio.sleep(pause)
        self._restarts += 1
        try:
            await asyncio.to_thread(self._clear_leftovers)
            await self._start_once()
        except Exception as error:  # whatever it is, giving up would leave the server down for good
            self._problem = str(error)
            log.exception("%s could not be started again", self.server.name)
            self._state = "waiting"
            return False
        log.warning("%s is back", self.server.name)
        return True

    async def _start_once(self) -> None:
        server = self.server
        self._state = "starting"
        await asyncio.to_thread(server.prepare)
        server.log.parent.mkdir(parents=True, exist_ok=True)
        with server.log.open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                *server.place.command(
                    *server.argv(),
                    user=server.user,
                    folder=server.inner,
                    when_parent_dies=server.when_parent_dies,
                ),
                env=ENVIRONMENT,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # a Ctrl-C at the terminal is the launcher's alone
            )
        processes.record(self._record, self._process.pid)
        try:
            await self._until_check_passes(self._process)
        except BaseException:
            await self._end_process()
            raise
        self._state = "ready"
        self._problem = ""
        self._ready.set()

    async def _until_check_passes(self, process: asyncio.subprocess.Process) -> None:
        server = self.server
        deadline = time.monotonic() + server.ready_within
        reason = "it did not answer"
        while time.monotonic() < deadline:
            if process.returncode is not None:
                reason = f"it ended with {process.returncode}"
                break
            try:
                await server.check()
            except (NotReadyError, OSError) as error:
                reason = str(error)
                await asyncio.sleep(0.05)
            else:
                # Somebody else's server on the same port answers, too: ours must be alive.
                await asyncio.sleep(0)
                if process.returncode is None:
                    return
        raise PrivateRuntimeError(
            f"{server.name} did not start: {reason}. The end of {server.log}:\n{logs.tail(server.log)}"
        )

    async def _end_process(self) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        self._ready.clear()
        with contextlib.suppress(ProcessLookupError):
            await self.server.ask_to_stop(process)
        try:
            await asyncio.wait_for(process.wait(), self.server.stop_within)
        except TimeoutError:
            log.warning("%s did not stop in time and is killed", self.server.name)
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    def _clear_leftovers(self) -> None:
        """End what is left of an earlier run in this server's folder."""
        stale = sorted({*processes.working_in(self.server.home), *processes.recorded(self._record)})
        if not stale:
            return
        log.warning("ending what is left of %s: pid %s", self.server.name, stale)
        left = processes.end(stale, within=10)
        if left:
            raise PrivateRuntimeError(
                f"an earlier {self.server.name} (pid {', '.join(map(str, left))}) cannot be ended."
            )


class Supervisor:
    """Keeps several servers running."""

    def __init__(self, servers: Sequence[Server]) -> None:
        self._keepers = {server.name: Keeper(server) for server in servers}
        self._housekeeping: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start all at once; if one cannot be started, all are stopped and its error raised."""
        starts = (keeper.start() for keeper in self._keepers.values())
        try:
            results = await asyncio.gather(*starts, return_exceptions=True)
        except BaseException:  # cancelled: leave nothing behind, then go on ending
            await self.stop()
            raise
        failures = [result for result in results if isinstance(result, BaseException)]
        if failures:
            await self.stop()
            raise failures[0]
        self._housekeeping = asyncio.create_task(self._trim_logs(), name="trim server logs")

    async def stop(self) -> None:
        """Stop all, the last one first, so that nothing loses the server that it works with."""
        if self._housekeeping is not None:
            self._housekeeping.cancel()
            self._housekeeping = None
        for keeper in reversed(self._keepers.values()):
            await keeper.stop()

    def status(self) -> list[Status]:
        return [keeper.status for keeper in self._keepers.values()]

    def keeper(self, name: str) -> Keeper:
        """The keeper of the server of that name."""
        return self._keepers[name]

    async def _trim_logs(self) -> None:
        while True:
            await asyncio.sleep(_TRIM_EVERY)
            for keeper in self._keepers.values():
                with contextlib.suppress(OSError):  # a full disk must not end the watch
                    await asyncio.to_thread(logs.trim, keeper.server.log)
