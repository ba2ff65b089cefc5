"""A server's log file: kept short without the server's help, and quoted when it fails."""

import shutil
from pathlib import Path

LIMIT = 10_000_000
"""Bytes after which a log is moved aside; one older piece is kept."""


def trim(log: Path, limit: int = LIMIT) -> None:
    """Move what a too long log holds into `<log>.1` and go on with an empty one.

    The server keeps its open file (it appends), so it is never asked for anything; lines that
    it writes between the copy and the cut are lost.
    """
    if log.exists() and log.stat().st_size > limit:
        shutil.copyfile(log, log.with_name(log.name + ".1"))
        with log.open("r+b") as file:
            file.truncate(0)


def tail(log: Path, lines: int = 8) -> str:
    """The last lines of a log, indented for an error message."""
    if not log.exists():
        return "  (no log)"
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 8192))
        text = file.read().decode(errors="replace")
    return "\n".join(f"  {line}" for line in text.splitlines()[-lines:]) or "  (the log is empty)"
