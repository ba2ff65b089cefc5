"""`./careline test`: everything that CI checks, in the order in which it fails fastest."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import click

from service.runtime.__main__ import state_folder
from service.runtime.errors import PrivateRuntimeError
from service.runtime.root import ensure_root

_TREE = Path(__file__).parents[2]
_CHECKS = {
    "format": ("ruff", "format", "--check", "."),
    "lint": ("ruff", "check", "."),
    "types": ("mypy",),
    "imports": ("importlinter.cli", "lint"),
}


# Live tests mostly wait; each file has servers of its own.
_SIDE_BY_SIDE = ("-n", "3", "--dist", "loadfile")


@click.command(context_settings={"ignore_unknown_options": True})
@click.option("--unit", is_flag=True, help="Only what needs no server.")
@click.argument("pytest_arguments", nargs=-1, type=click.UNPROCESSED)
def test(unit: bool, pytest_arguments: tuple[str, ...]) -> None:
    """Format, lint, strict types, import rule, then unit and live tests. Arguments go to pytest."""
    failed = [name for name, command in _CHECKS.items() if not _passes(name, command)]
    places = ["tests/unit"] if unit else ["tests/unit", "tests/live"]
    if not unit:
        try:
            ensure_root(state_folder(), lambda message: click.echo(message, err=True))
        except PrivateRuntimeError as error:
            raise click.ClickException(str(error)) from error
    if not _passes("tests", ("pytest", *(pytest_arguments or (*_SIDE_BY_SIDE, *places)))):
        failed.append("tests")
    if failed:
        raise click.ClickException(f"not passed: {', '.join(failed)}")
    click.echo("all passed", err=True)


def _passes(name: str, command: tuple[str, ...]) -> bool:
    started = time.monotonic()
    click.echo(f"── {name}", err=True)
    # The tools are modules of this very Python: nothing is looked up on the machine.
    arguments = _command(command)
    status = subprocess.run(arguments, check=False, cwd=_TREE).returncode  # noqa: S603  # our own list
    click.echo(f"── {name}: {'ok' if status == 0 else 'FAILED'} ({time.monotonic() - started:.0f} s)", err=True)
    return status == 0


def _command(command: tuple[str, ...]) -> list[str]:
    if command[0] == "importlinter.cli":
        return [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"]
    return [sys.executable, "-m", *command]
