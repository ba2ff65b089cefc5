"""The database that the commands read and write: the one that is set, or the running private one."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import wraps
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

import click
import psycopg
from pydantic import ValidationError
from sqlalchemy.exc import DBAPIError

from alarm_core.store.database import Database
from service.runtime.errors import PrivateRuntimeError
from service.runtime.place import Place
from service.runtime.postgres import DATABASE, ROLE
from service.settings import Settings, load

P = ParamSpec("P")
R = TypeVar("R")

_HOW = "start ./careline up or ./careline demo first, or set CARELINE_DATABASE_URL"


def database_url(settings: Settings) -> str:
    """The address of the database. Raises ClickException when none is set and no private one runs."""
    if settings.database_url:
        return settings.database_url
    port, secret = _running_port(settings), settings.state / "secrets" / "postgres"
    if port is None:
        raise click.ClickException(f"the instance '{settings.instance}' is not running: {_HOW}")
    try:
        password = os.environ.get("CARELINE_SECRET_POSTGRES") or secret.read_text("ascii").strip()
    except OSError as error:
        raise click.ClickException(
            f"{secret} cannot be read ({error.strerror}): run it as root, or with sudo"
        ) from None
    return f"postgresql://{ROLE}:{password}@127.0.0.1:{port}/{DATABASE}"


def _running_port(settings: Settings) -> int | None:
    """The port in the fourth line of postmaster.pid, which stands there while the server runs."""
    root = Path(os.environ.get("CARELINE_ROOT") or settings.state / "root")
    file = Place(root, settings.instance).home("postgres") / "data" / "postmaster.pid"
    try:
        lines = file.read_text().splitlines()
        os.kill(int(lines[0]), 0)
        return int(lines[3])
    except PermissionError:
        raise click.ClickException(f"{file} cannot be read: run it as root, or with sudo") from None
    except (OSError, ValueError, IndexError):
        return None


def with_database(
    command: Callable[Concatenate[Database, P], Awaitable[R]],
) -> Callable[P, R]:
    """Make an async command of a click one: it gets the database, and `--instance` chooses the private one."""

    @click.option("--instance", help="Which private instance: main (of up) or demo.  [default: the one that runs]")
    @wraps(command)
    def run(instance: str | None, *args: P.args, **kwargs: P.kwargs) -> R:
        async def work() -> R:
            async with _opened(instance) as database:
                return await command(database, *args, **kwargs)

        return asyncio.run(work())

    return run  # type: ignore[return-value]  # click passes `instance` by name; callers do not


@asynccontextmanager
async def _opened(instance: str | None) -> AsyncIterator[Database]:
    database = Database(database_url(_settings(instance)), pool_size=2)
    try:
        yield database
    except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn):
        raise click.ClickException("the database has no tables of this version: start ./careline up once") from None
    except (psycopg.OperationalError, DBAPIError) as error:
        cause = getattr(error, "orig", None) or error
        if isinstance(cause, psycopg.errors.UndefinedTable):
            raise click.ClickException("the database has no tables yet: start ./careline up once") from None
        if isinstance(cause, psycopg.OperationalError):
            raise click.ClickException(f"the database cannot be reached ({_short(cause)}): {_HOW}") from None
        raise
    finally:
        await database.close()


def _settings(instance: str | None) -> Settings:
    """The settings; without a word about the instance, the demo's if only that one runs."""
    try:
        settings = load()
    except (ValidationError, PrivateRuntimeError, ValueError) as error:
        raise click.ClickException(f"the settings are wrong: {error}") from None
    if instance is not None:
        return settings.model_copy(update={"instance": instance})
    demo = settings.model_copy(update={"instance": "demo"})
    chosen = "instance" in settings.model_fields_set or settings.database_url
    if not chosen and _running_port(settings) is None and _running_port(demo) is not None:
        return demo
    return settings


def _short(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[-1].strip() if lines else type(error).__name__
