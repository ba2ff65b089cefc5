"""Commands that run servers and the service: up, serve, demo, doctor."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import click

from service.app import Careline, Role
from service.cli.doctor import doctor
from service.cli.test import test
from service.runtime.errors import PrivateRuntimeError
from service.servers import PlayedNetwork, Servers
from service.settings import Settings, load

__all__ = ["demo", "doctor", "serve", "test", "up"]

_LOG_FORMAT = "%(asctime)s %(levelname)-7s %(name)s %(message)s"


def tell(message: str) -> None:
    """Progress: to standard error, so that standard output holds results only."""
    click.echo(message, err=True)


def run_until_stopped(work: Callable[[], Coroutine[Any, Any, int]]) -> int:
    """Run to the end, or until SIGINT or SIGTERM; then everything is stopped cleanly."""

    async def main() -> int:
        loop = asyncio.get_running_loop()
        task = asyncio.create_task(work())
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, task.cancel)
        try:
            return await task
        except asyncio.CancelledError:
            return 0

    try:
        import uvloop

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(main())
    except PrivateRuntimeError as error:
        raise click.ClickException(str(error)) from error
    except ExceptionGroup as group:
        raise click.ClickException("; ".join(str(error) for error in group.exceptions)) from group


def log_to_stderr(level: int = logging.INFO) -> None:
    logging.basicConfig(level=level, format=_LOG_FORMAT, stream=sys.stderr)
    for quiet in ("alembic", "uvicorn.error"):
        logging.getLogger(quiet).setLevel(logging.WARNING)
    # paho reports every ordinary loss of a connection as an error; careline.ingest says what matters of it.
    logging.getLogger("paho").setLevel(logging.CRITICAL)


@click.command()
@click.option("--demo", is_flag=True, help="With the played telephone network and the example district.")
def up(demo: bool) -> None:
    """Run the whole service, with private servers where no others are set."""
    log_to_stderr()
    settings = load()
    if demo:
        from service.demo.district import settings_of_demo

        settings = settings_of_demo(settings)
    sys.exit(run_until_stopped(lambda: _up(settings, demo)))


async def _up(settings: Settings, demo: bool) -> int:
    servers = Servers(settings, PlayedNetwork() if demo else None)
    try:
        endpoints = await servers.start(tell)
        careline = Careline(settings, endpoints, servers.trunks, list(Role))
        async with asyncio.TaskGroup() as group:
            running = group.create_task(careline.run())
            await careline.started.wait()
            if demo:
                from service.demo.district import settle

                await settle(careline)
            _say_where(settings, servers)
            await running
    finally:
        await servers.stop()
    return 0


def _say_where(settings: Settings, servers: Servers) -> None:
    base = f"http://{settings.http_bind}:{settings.ports.http}"
    tell(f"Careline runs. API: {base}/api/v1 (docs/api.md)")
    if not settings.mqtt_url:
        tell(f"Devices: MQTT 127.0.0.1:{settings.ports.mqtt}, login 'devices', password in {settings.state}/secrets/")
    if not servers.trunks:
        tell("NO TRUNK IS SET: no call can leave. Set CARELINE_TRUNK_HOST (docs/operations.md), or try `up --demo`.")
    if not settings.duty_phones:
        tell("NO DUTY PHONE IS SET: set CARELINE_DUTY_PHONES, so that a person hears of alarms nobody else takes.")


@click.command()
@click.option(
    "--role", "roles", multiple=True, type=click.Choice([role.value for role in Role]), help="Repeat for several roles."
)
def serve(roles: tuple[str, ...]) -> None:
    """Run one role (or several) of the service; the servers are run by others."""
    log_to_stderr()
    settings = load()
    servers = Servers(settings)

    async def work() -> int:
        chosen = [Role(role) for role in roles] or list(Role)
        await Careline(settings, servers.endpoints, servers.trunks, chosen).run()
        return 0

    sys.exit(run_until_stopped(work))


@click.command()
@click.option("--once", is_flag=True, help="End with the story; exit status 0 only if help got there.")
@click.option("--json", "as_json", is_flag=True, help="Print the alarm as one JSON document on standard output.")
@click.option("--fast", is_flag=True, help="Shorter ringing and waiting; the rules are the same.")
def demo(once: bool, as_json: bool, fast: bool) -> None:
    """Tell the main story on real servers: a smoke alarm, and help that gets there."""
    from service.demo.story import tell_story

    log_to_stderr(logging.WARNING)
    sys.exit(run_until_stopped(lambda: tell_story(load(), once=once, as_json=as_json, fast=fast)))
