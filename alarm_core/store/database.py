"""The connection to Postgres: pool, migrations, transactions whose statements travel together, notifications."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import psycopg
from alembic import command as alembic
from alembic.config import Config
from psycopg.types.json import set_json_dumps
from pydantic_core import to_json
from sqlalchemy import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

log = logging.getLogger("careline.store")

Statement = tuple[str, Any]
CHANNEL = "careline"
Driver = psycopg.AsyncConnection[Any]


def _dumps(value: object) -> str:
    return to_json(value).decode()


set_json_dumps(_dumps)


def normal_url(url: str) -> str:
    """The URL with the driver we use; a plain `postgresql://…` is what people have at hand."""
    return make_url(url).set(drivername="postgresql+psycopg").render_as_string(hide_password=False)


AWAY = (psycopg.OperationalError, psycopg.InterfaceError, DBAPIError)
"""What is raised while Postgres cannot be reached: try again later."""


class Database:
    """One pool of one process."""

    def __init__(self, url: str, *, pool_size: int = 10) -> None:
        self.url = normal_url(url)
        # A statement is planned once a connection: prepared at its first use, on the connection that was used last.
        self.engine: AsyncEngine = create_async_engine(
            self.url,
            pool_size=pool_size,
            max_overflow=10,
            pool_use_lifo=True,
            json_serializer=_dumps,
            hide_parameters=True,  # personal data stays out of errors
            connect_args={"prepare_threshold": 0, "options": "-c plan_cache_mode=force_generic_plan"},
        )

    @property
    def conninfo(self) -> str:
        """The same database for a plain psycopg connection."""
        return make_url(self.url).set(drivername="postgresql").render_as_string(hide_password=False)

    def migrate(self) -> None:
        """Bring the tables to this version. Blocking; safe when several processes start at once."""
        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
        config.attributes["url"] = self.url
        alembic.upgrade(config, "head")

    async def close(self) -> None:
        await self.engine.dispose()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """A transaction on the bare driver connection, committed at the end, rolled back on any error."""
        async with self.engine.connect() as connection:
            raw = await connection.get_raw_connection()
            driver = cast(Driver, raw.driver_connection)
            transaction = Transaction(driver)
            try:
                yield transaction
                if not transaction.committed:
                    await driver.commit()
            except BaseException:
                if not await _rolled_back(driver):
                    # The server went away: every connection of the pool is as dead as this one.
                    await connection.invalidate()
                    await self.engine.dispose(close=False)
                raise

    async def query(self, sql: str, params: Any = ()) -> list[Any]:
        """One statement in a transaction of its own, in one round trip."""
        async with self.transaction() as tx:
            return (await tx.together([(sql, params)], commit=True))[0]

    async def now(self) -> datetime:
        """The database's clock: the only one that leases and due times are held against."""
        ((now,),) = await self.query("SELECT clock_timestamp()")
        return cast(datetime, now)


async def _rolled_back(driver: Driver) -> bool:
    """Whether the connection can be used again."""
    try:
        await driver.rollback()
    except psycopg.Error:
        return False
    return not driver.closed


class Transaction:
    """Statements in psycopg's own form (`%s`), sent together where their answers are not needed in between."""

    def __init__(self, driver: Driver) -> None:
        self.driver = driver
        self.committed = False

    async def one(self, sql: str, params: Any = ()) -> Sequence[Any]:
        rows = await self.all(sql, params)
        return cast(Sequence[Any], rows[0])

    async def all(self, sql: str, params: Any = ()) -> list[Any]:
        # Together with the BEGIN in front of it, which would otherwise be a round trip of its own.
        return (await self.together([(sql, params)]))[0]

    async def together(self, statements: Sequence[Statement], *, commit: bool = False) -> list[list[Any]]:
        """Run the statements in one round trip; returns the rows of each (empty for those that return none)."""
        async with self.driver.pipeline():
            cursors = [await self.driver.execute(sql.encode(), params) for sql, params in statements]
            if commit:
                await self.driver.commit()
        self.committed = self.committed or commit
        return [await cursor.fetchall() if cursor.description else [] for cursor in cursors]


class Listener:
    """Hears the database's notifications on a connection of its own and comes back after every loss.

    `heard` is called with each payload, and with None after a reconnect: something may have been missed.
    """

    def __init__(self, database: Database, heard: Callable[[str | None], None]) -> None:
        self._database = database
        self._heard = heard

    async def run(self) -> None:
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(
                    self._database.conninfo, autocommit=True, connect_timeout=5
                ) as connection:
                    await connection.execute(f"LISTEN {CHANNEL}".encode())
                    self._heard(None)
                    async for notification in connection.notifies():
                        self._heard(notification.payload)
            except (psycopg.Error, OSError) as error:
                log.warning("lost the database's notifications (%s); trying again", type(error).__name__)
            await asyncio.sleep(0.5)
