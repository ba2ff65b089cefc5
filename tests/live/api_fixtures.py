"""Fixtures of the tests of the API, the people's store and the command line (a test module names it as a plugin)."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest_asyncio
from psycopg import sql
from sqlalchemy import make_url

from alarm_core.store.database import Database
from service.runtime.ports import free_ports
from service.runtime.private import PrivateRuntime
from tests.live.api_world import Api, World, serving


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def postgres_url(state: Path) -> AsyncIterator[str]:
    """A Postgres in which databases may be made: the one of CARELINE_TEST_DATABASE_URL, else a private one."""
    given = os.environ.get("CARELINE_TEST_DATABASE_URL")
    if given:
        yield given
        return
    runtime = PrivateRuntime(state, f"test-api-{os.getpid()}", free_ports())
    postgres = runtime.use_postgres()
    await runtime.start(lambda message: None)
    yield postgres.url
    await runtime.stop()
    for folder in (postgres.home.parent, runtime.log_folder):
        shutil.rmtree(folder)


@pytest_asyncio.fixture
async def database(postgres_url: str) -> AsyncIterator[Database]:
    """A fresh database with its tables, dropped in the end."""
    name = f"api_test_{os.getpid()}_{uuid4().hex[:8]}"
    admin = make_url(postgres_url).set(drivername="postgresql")
    address = admin.render_as_string(hide_password=False)
    async with await psycopg.AsyncConnection.connect(address, autocommit=True) as connection:
        await connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        database = Database(admin.set(database=name).render_as_string(hide_password=False))
        try:
            await asyncio.to_thread(database.migrate)
            yield database
        finally:
            await database.close()
            await connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest_asyncio.fixture
async def settled(database: Database) -> World:
    """A database with one elder, two contacts and a smoke detector."""
    world = World(database)
    await world.settle()
    return world


@pytest_asyncio.fixture
async def api(settled: World) -> AsyncIterator[Api]:
    """The API over it."""
    async with serving(settled) as api:
        yield api
