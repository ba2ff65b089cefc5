"""What is measured runs in processes of its own, so that who measures does not slow it down."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import multiprocessing
import signal
from collections.abc import Callable, Collection
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import Any

import uvloop

from dialplan.node import Trunk
from service.app import Careline, Role
from service.runtime.place import Place
from service.servers import Endpoints
from service.settings import Settings


class Child:
    """A process that runs `target(*args, pipe)`: it sends one word when it is ready, and ends when the pipe does."""

    def __init__(self, target: Callable[..., None], *args: Any) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=target, args=(*args, theirs), daemon=True)
        self._process.start()
        theirs.close()

    async def ready(self, seconds: float = 30.0) -> Any:
        """The child's word. EOFError when it died, TimeoutError when it says nothing."""
        if not await asyncio.to_thread(self._pipe.poll, seconds):
            raise TimeoutError("a process under measurement did not become ready")
        return self._pipe.recv()

    async def stop(self) -> None:
        self._pipe.close()
        await asyncio.to_thread(self._process.join, 10)
        if self._process.is_alive():
            self.kill()

    def kill(self) -> None:
        """kill -9"""
        self._process.kill()
        self._process.join()
        self._pipe.close()


def until_closed(pipe: Connection) -> None:
    """Until the parent has closed its end, or died."""
    with contextlib.suppress(EOFError, OSError):
        pipe.recv()


def careline(
    settings: Settings,
    endpoints: Endpoints,
    place: Place,
    trunks: Collection[Trunk],
    roles: Collection[Role],
    pipe: Connection,
) -> None:
    """A `Child`'s target: the service itself. Ready when signals are taken and calls placed, as far as its roles go.

    With the role ami alone it is ready when it has started: it may have to stand by.
    """
    logging.basicConfig(level=logging.ERROR)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when it ends
    # Made here: the command runs only as a child of the process that made it.
    espeak = place.command("/usr/bin/espeak-ng", user=place.user("asterisk"))
    endpoints = replace(endpoints, espeak=tuple(espeak))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:  # as the command line does
        runner.run(_careline(Careline(settings, endpoints, trunks, roles), pipe))


async def _careline(service: Careline, pipe: Connection) -> None:
    task = asyncio.create_task(service.run())
    await service.started.wait()
    stands_alone = len(service.roles) > 1
    while (service.mqtt and not service.mqtt.status.ready) or (
        stands_alone and service.driver and not service.driver.driving
    ):
        if task.done():
            task.result()
        await asyncio.sleep(0.02)
    pipe.send("ready")
    await asyncio.to_thread(until_closed, pipe)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
