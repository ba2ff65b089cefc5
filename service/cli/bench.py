"""`./careline bench`: the figures of tests/bench."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def bench(arguments: tuple[str, ...]) -> None:
    """Measure speed, each figure beside the bare thing in the same run (docs/benchmarks.md). --help tells more."""
    command = [sys.executable, "-m", "tests.bench", *arguments]
    sys.exit(subprocess.run(command, check=False, cwd=Path(__file__).parents[2]).returncode)  # noqa: S603  # our own list
