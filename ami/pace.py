"""How fast a node may place calls: its own limit, lowered while its answers are slow.

A queue inside Asterisk makes every call late; so the queue forms in Postgres, by urgency, and the node takes from it
only as fast as it answers.
"""

from __future__ import annotations

SLOW_SECONDS = 0.25
"""An AMI answer slower than this says that Asterisk is behind."""
_LEAST = 0.5
_RECOVERY = 1.1
_JUDGE_EVERY = 0.5


class Pace:
    """A bucket of permissions to place a call. Times are seconds of any one clock that only goes forward."""

    def __init__(self, calls_per_second: float, now: float) -> None:
        self.limit = calls_per_second
        self.rate = calls_per_second
        self._tokens = 1.0
        self._filled_at = now
        self._judged_at = now

    def available(self, now: float) -> int:
        """How many calls may be placed at this moment."""
        burst = max(1.0, self.rate / 5)
        self._tokens = min(burst, self._tokens + (now - self._filled_at) * self.rate)
        self._filled_at = now
        return int(self._tokens)

    def spend(self, calls: int) -> None:
        self._tokens -= calls

    def wait_seconds(self, now: float) -> float:
        """Until the next call may be placed."""
        if self.available(now) >= 1:
            return 0.0
        return (1.0 - self._tokens) / self.rate

    def judge(self, answer_seconds: float, now: float) -> None:
        """Take note of how long Asterisk took to answer: halve the rate when slow, recover by a tenth when not."""
        if now - self._judged_at < _JUDGE_EVERY:
            return
        self._judged_at = now
        if answer_seconds > SLOW_SECONDS:
            self.rate = max(self.rate / 2, min(_LEAST, self.limit))
        else:
            self.rate = min(self.rate * _RECOVERY, self.limit)
