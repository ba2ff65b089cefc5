"""The conversation server: what a conversation says and asks, on a real call."""

from agi.server import AgiServer
from agi.session import AgiError, CallerGone, Session

__all__ = ["AgiError", "AgiServer", "CallerGone", "Session"]
