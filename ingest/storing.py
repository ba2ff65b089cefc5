"""Putting messages into the record when some of them cannot be stored: no message may hold up the others."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import psycopg
import sqlalchemy.exc

from alarm_core.signal import Incoming, Intake, Receipt
from ingest.message import Message, store_error

log = logging.getLogger("careline.ingest")

# Classes of SQLSTATE that speak of one row's data; every other class (connection, shutdown, resources, rights,
# deadlock, a table that is not there …) is trouble of the database, which passes or which somebody must repair.
_DATA_CLASSES = {"0A", "21", "22", "23", "2F", "54", "P0"}

_AWAY = (
    sqlalchemy.exc.OperationalError,
    sqlalchemy.exc.InterfaceError,
    sqlalchemy.exc.TimeoutError,
    psycopg.OperationalError,
    psycopg.InterfaceError,
    OSError,
    TimeoutError,
)


class Unstorable(Exception):  # noqa: N818 (it says what the item is)
    """Neither the record nor the quarantine takes this item: a mistake of ours. It must be kept and tried later."""


def is_away(error: BaseException) -> bool:
    """True if the database is in trouble (wait and try again); False if an item's data are (quarantine it)."""
    cause = getattr(error, "orig", None) or error
    sqlstate = getattr(cause, "sqlstate", None)
    if isinstance(sqlstate, str):
        return sqlstate[:2] not in _DATA_CLASSES
    return isinstance(error, _AWAY) or getattr(error, "connection_invalidated", False) is True


async def take_one(intake: Intake, message: Message) -> list[Receipt]:
    """Store one message; an item that the store cannot take goes to the quarantine as "store_error".

    Raises what `intake.take` raises when the database is away, and `Unstorable`. The items of a message that can be
    stored are stored together.
    """
    if not message.items:
        return []
    try:
        return await intake.take(message.items)
    except Exception as error:
        if is_away(error):
            raise
        log.warning("the store refused a message of %s: %s", message.source, type(error).__name__)
        if len(message.items) == 1:
            return [await _quarantine(intake, message, message.items[0], error)]
    return [await _take_item(intake, message, item) for item in message.items]


async def _take_item(intake: Intake, message: Message, item: Incoming) -> Receipt:
    try:
        return (await intake.take([item]))[0]
    except Exception as error:
        if is_away(error):
            raise
        return await _quarantine(intake, message, item, error)


async def _quarantine(intake: Intake, message: Message, item: Incoming, error: Exception) -> Receipt:
    rejected: Sequence[Incoming] = [store_error(message, item, error)]
    try:
        return (await intake.take(rejected))[0]
    except Exception as second:
        if is_away(second):
            raise
        raise Unstorable(f"{type(error).__name__}, then {type(second).__name__}") from second
