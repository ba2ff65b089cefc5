"""The command line. Every command is imported only when it is run, so that `--help` answers at once."""

from __future__ import annotations

from importlib import import_module

import click

# name → (module, attribute, line in --help)
_COMMANDS = {
    "demo": ("run", "demo", "Tell the main story on real servers: a smoke alarm, and help that gets there."),
    "up": ("run", "up", "Run the whole service, with private servers where no others are set."),
    "serve": ("run", "serve", "Run one role of the service."),
    "doctor": ("run", "doctor", "Check settings, servers, trunk, prompts, clock and disk."),
    "test": ("run", "test", "Run every check and test."),
    "bench": ("bench", "bench", "Measure speed, beside the bare thing in the same run."),
    "setup": ("run", "setup", "Set up what is missing, and stop."),
    "alarms": ("alarms", "alarms", "List alarms."),
    "alarm": ("alarms", "alarm", "Show one alarm, or replay its log."),
    "calls": ("records", "calls", "List calls."),
    "signals": ("records", "signals", "List messages that could not be taken."),
    "elders": ("people", "elders", "Import and list elders."),
    "devices": ("people", "devices", "List devices; give one a secret of its own."),
    "users": ("users", "users", "Accounts: add, change, list."),
}


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, attribute, _ = _COMMANDS[cmd_name]
        found = getattr(import_module(f"service.cli.{module}"), attribute)
        assert isinstance(found, click.Command)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, _, line) in _COMMANDS.items()])


@click.group(cls=_LazyGroup)
def main() -> None:
    """Careline: an emergency telephone service for elders who live at home. 居家老人紧急呼叫服务。

    Settings are CARELINE_* variables, or lines of careline.env in the state folder (docs/operations.md).
    """
