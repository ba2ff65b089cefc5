"""What the live tests share: the state folder of the launcher, and one running world."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from service.runtime.__main__ import state_folder
from tests.live.world import World


@pytest.fixture(scope="session")
def state() -> Path:
    """Where the private root lies: made once, used by every test."""
    return state_folder()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def world(state: Path) -> AsyncIterator[World]:
    """The whole service, shared by the tests that break nothing. Such tests run on the session's loop."""
    world = World(state, record=True)
    await world.start()
    yield world
    await world.stop()
