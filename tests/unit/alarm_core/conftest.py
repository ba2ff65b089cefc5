"""Fixtures of the rules' tests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.unit.alarm_core.story import Story, Tell


@pytest.fixture
def tell() -> Iterator[Tell]:
    """Begins stories; at the end each is replayed: same events, same states, same commands."""
    told: list[Story] = []

    def begin(kind: str, **people: Any) -> Story:
        story = Story(kind, **people)
        told.append(story)
        return story

    yield begin
    for story in told:
        story.world.replayed()
