"""The signature of an HTTP push: who sent it, and that it is fresh.

`X-Careline-Signature: sha256=<hex>` is the HMAC-SHA256 of the timestamp's text, a full stop, and the body's bytes.
"""

from __future__ import annotations

import hashlib
import hmac
import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime

WINDOW = 300
"""Seconds that the timestamp may be off, either way. A repetition within it is the same signal by its id."""

_SIGNATURE = re.compile(r"sha256=([0-9a-f]{64})", re.IGNORECASE)


def sign(secret: bytes, timestamp: str, body: bytes) -> str:
    """The value of X-Careline-Signature."""
    return "sha256=" + hmac.new(secret, timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def fault_of(
    timestamp: str | None, signature: str | None, body: bytes, secrets: Sequence[bytes], now: datetime
) -> str | None:
    """Why the signature does not hold, or None if it does. Several secrets: while one replaces another."""
    if timestamp is None or signature is None:
        return "X-Careline-Timestamp and X-Careline-Signature are needed"
    match = _SIGNATURE.fullmatch(signature.strip())
    if match is None:
        return "X-Careline-Signature must be sha256=<64 hex digits>"
    sent_at = _seconds(timestamp)
    if sent_at is None:
        return "X-Careline-Timestamp must be seconds since 1970, or ISO 8601 with an offset"
    if abs(now.timestamp() - sent_at) > WINDOW:
        return f"X-Careline-Timestamp is more than {WINDOW} s away from this server's clock"
    expected = [sign(secret, timestamp, body) for secret in secrets if secret]
    # Every secret is tried, each in constant time.
    matches = [hmac.compare_digest(value, "sha256=" + match[1].lower()) for value in expected]
    return None if any(matches) else "the signature is not the one of this timestamp and body"


def _seconds(timestamp: str) -> float | None:
    try:
        seconds = float(timestamp)
    except ValueError:
        try:
            time = datetime.fromisoformat(timestamp)
            return time.astimezone(UTC).timestamp() if time.tzinfo else None
        except (ValueError, OverflowError):
            return None
    return seconds if math.isfinite(seconds) else None
