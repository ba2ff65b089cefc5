"""Slows down those who guess passwords."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable


class Throttle:
    """After `tries` failures of one name from one address, that pair waits until `seconds` have passed.

    Kept in this process alone, for the last `remembered` pairs: it slows guessing down and takes no lock from anybody
    who knows the password and comes from elsewhere.
    """

    def __init__(
        self,
        *,
        tries: int = 5,
        seconds: float = 900,
        remembered: int = 10_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tries = tries
        self._seconds = seconds
        self._remembered = remembered
        self._clock = clock
        self._failures: OrderedDict[tuple[str, str], tuple[int, float]] = OrderedDict()

    def wait_seconds(self, name: str, address: str) -> int:
        """How long this pair must wait before its next try; 0: it may try."""
        count, since = self._failures.get((name, address), (0, 0.0))
        left = since + self._seconds - self._clock()
        return math.ceil(left) if count >= self._tries and left > 0 else 0

    def failed(self, name: str, address: str) -> None:
        count, since = self._failures.pop((name, address), (0, 0.0))
        if self._clock() - since > self._seconds:
            count = 0
        self._failures[(name, address)] = (count + 1, self._clock())
        while len(self._failures) > self._remembered:
            self._failures.popitem(last=False)

    def succeeded(self, name: str, address: str) -> None:
        self._failures.pop((name, address), None)
