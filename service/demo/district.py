"""The example district: elders, contacts and devices whose phones the played network answers for."""

from __future__ import annotations

from importlib.resources import files

from alarm_core.store.importing import read_elders
from alarm_core.store.people import People
from service.app import Careline
from service.settings import Settings

DUTY_PHONE = "13900001701"
"""Behaviour 17: picks up and takes the alarm."""


def settings_of_demo(settings: Settings, *, pace: float = 1.0) -> Settings:
    """An instance of its own, so that the demo never touches a real service's record."""
    changes = {"instance": "demo", "duty_phones": (DUTY_PHONE,), "pace": pace}
    return settings.model_copy(update=changes)


async def settle(careline: Careline) -> None:
    """Write the district into the record; again changes nothing."""
    content = (files("service.demo") / "district.csv").read_bytes()
    await People(careline.database, careline.plans).import_elders(read_elders(content))
