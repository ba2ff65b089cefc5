"""The command line. A command's module is imported when the command is used, so that the first line comes fast."""

from __future__ import annotations

from importlib import import_module

import click

_COMMANDS = {
    "up": "service.cli.run:up",
    "serve": "service.cli.run:serve",
    "demo": "service.cli.run:demo",
}


class _Lazy(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        place = _COMMANDS.get(cmd_name)
        if place is None:
            return None
        module, _, name = place.partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command


@click.group(cls=_Lazy)
def main() -> None:
    """Careline: the emergency telephone service for elders at home."""
