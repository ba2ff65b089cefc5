"""Reading JSON that strangers sent: every limit and every trap in one place.

What comes out can be stored: no NaN, no numbers that a double cannot hold, no NUL and no lone surrogates (PostgreSQL's
text holds neither), no key twice, no depth that exhausts the stack. What cannot be read raises `Unreadable`.
"""

from __future__ import annotations

import json
import math
import re
from datetime import UTC, datetime, timedelta, timezone

from pydantic import JsonValue

from alarm_core.signal import SignalState
from ingest.adapters.unreadable import Unreadable

MAX_PAYLOAD = 1024 * 1024 + 64 * 1024
"""Bytes: a message of 1 MiB and its envelope."""

MAX_VALUE = 32 * 1024
"""Characters of `value` as JSON: a reading, not a recording."""

MAX_DEPTH = 16
MAX_NAME = 128
"""Characters of a device id or a message id."""

# A device that sends no offset means the clock on its wall: China has one time zone and no summer time.
WALL_CLOCK = timezone(timedelta(hours=8), "Asia/Shanghai")

_KIND = re.compile(r"[a-z][a-z0-9_]{0,39}")
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = datetime(2200, 1, 1, tzinfo=UTC)
# Above this a number of seconds would lie after the year 5000, so it is milliseconds.
_MILLISECONDS_FROM = 100_000_000_000

JsonObject = dict[str, JsonValue]


def read_object(payload: bytes) -> JsonObject:
    """The payload as one JSON object (UTF-8, a byte order mark is forgiven)."""
    if len(payload) > MAX_PAYLOAD:
        raise Unreadable("too_large", f"{len(payload)} bytes; at most {MAX_PAYLOAD} are read")
    try:
        document = json.loads(
            payload.decode("utf-8-sig"),
            object_pairs_hook=_without_repeats,
            parse_constant=_no_constant,
            parse_float=_finite,
            parse_int=_whole,
        )
    except UnicodeDecodeError as error:
        raise Unreadable("not_json", f"not UTF-8 at byte {error.start}") from error
    except RecursionError as error:
        raise Unreadable("not_json", "nested too deeply") from error
    except ValueError as error:
        raise Unreadable("not_json", str(error)) from error
    if not isinstance(document, dict):
        raise Unreadable("not_json", "the document must be a JSON object")
    return document


def _without_repeats(pairs: list[tuple[str, JsonValue]]) -> JsonObject:
    document = dict(pairs)
    if len(document) != len(pairs):
        # Python keeps the last and others keep the first: {"state":"alarm","state":"clear"} must not be a matter
        # of taste.
        raise Unreadable("not_json", "a key stands twice in one object")
    return document


def _no_constant(name: str) -> float:
    raise Unreadable("not_json", f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise Unreadable("not_json", "a number is too large")
    return number


def _whole(text: str) -> int:
    # The length first: int() of a million digits takes long or refuses.
    if len(text) > 20 or abs(int(text)) > 2**63:
        raise Unreadable("not_json", "a whole number is too large")
    return int(text)


def read_name(value: JsonValue, field: str) -> str:
    """A device id or message id: 1 to 128 printable characters; a whole number is taken as its digits."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise _bad(field, "must be a string")
    if not 1 <= len(value) <= MAX_NAME:
        raise _bad(field, f"must have 1 to {MAX_NAME} characters")
    if not value.isprintable():
        raise _bad(field, "must hold printable characters only")
    return value


def read_kind(value: JsonValue, field: str = "kind") -> str:
    """A kind as the plans spell it: lower case, words joined by "_" ("One-Key" is "one_key")."""
    if not isinstance(value, str):
        raise _bad(field, "must be a string")
    kind = value.strip().lower().replace("-", "_").replace(" ", "_")
    if not _KIND.fullmatch(kind):
        raise _bad(field, "must be 1 to 40 of a-z, 0-9 and _, beginning with a letter")
    return kind


def read_state(value: JsonValue, field: str = "state") -> SignalState:
    """One of the four states, in any case."""
    try:
        if isinstance(value, str):
            return SignalState(value.strip().lower())
    except ValueError:
        pass
    raise _bad(field, "must be one of " + ", ".join(SignalState))


def read_time(value: JsonValue, field: str = "at") -> datetime:
    """ISO 8601, or seconds or milliseconds since 1970, as an aware time in UTC.

    Without an offset it is taken as Asia/Shanghai. Whether it is far from now is not judged here: the store does.
    """
    try:
        if isinstance(value, str):
            time = datetime.fromisoformat(value.strip())
            time = time if time.tzinfo else time.replace(tzinfo=WALL_CLOCK)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            seconds = value / 1000 if abs(value) >= _MILLISECONDS_FROM else value
            time = datetime.fromtimestamp(seconds, UTC)
        else:
            raise _bad(field, "must be a time in ISO 8601")
        time = time.astimezone(UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise _bad(field, "is not a time (ISO 8601)") from error
    if not _EARLIEST <= time <= _LATEST:
        raise _bad(field, "lies outside 1970 to 2200")
    return time


def read_battery(value: JsonValue, field: str = "battery", *, full: float = 1.0) -> float | None:
    """The charge as 0..1; None when the device says none. `full`: how the device writes a full battery."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _bad(field, "must be a number")
    if not 0 <= value <= full:
        raise _bad(field, f"must lie between 0 and {full:g}")
    return value / full


def read_value(value: JsonValue, field: str = "value") -> JsonValue:
    """A reading of any shape that can be stored: small, shallow, and text without NUL and lone surrogates."""
    waiting: list[tuple[JsonValue, int]] = [(value, 1)]
    while waiting:
        part, depth = waiting.pop()
        if depth > MAX_DEPTH:
            raise _bad(field, f"is nested deeper than {MAX_DEPTH}")
        if isinstance(part, str):
            _check_text(part, field)
        elif isinstance(part, list):
            waiting.extend((item, depth + 1) for item in part)
        elif isinstance(part, dict):
            for key, item in part.items():
                _check_text(key, field)
                waiting.append((item, depth + 1))
    if len(json.dumps(value, ensure_ascii=False)) > MAX_VALUE:
        raise _bad(field, f"is longer than {MAX_VALUE} characters")
    return value


def _check_text(text: str, field: str) -> None:
    if any(character == "\0" or "\ud800" <= character <= "\udfff" for character in text):
        raise _bad(field, "holds a character that cannot be stored")


def _bad(field: str, detail: str) -> Unreadable:
    return Unreadable("bad_field", f"{field}: {detail}", field=field)
