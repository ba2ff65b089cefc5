"""The command line before any server: its help is quick and complete."""

from __future__ import annotations

import subprocess
import sys

import click
from click.testing import CliRunner

from service.cli import main

MINE = ("alarms", "alarm", "calls", "signals", "elders", "devices", "users")


def test_help_imports_no_command() -> None:
    code = (
        "import sys\nfrom service.cli import main\n"
        "try: main(['--help'], prog_name='careline')\n"
        "except SystemExit: pass\n"
        "print(sorted(m for m in sys.modules if m.split('.')[0] in ('sqlalchemy', 'fastapi', 'psycopg', 'pydantic')))"
    )
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert "alarms" in printed
    assert printed.endswith("[]\n")


def test_every_command_of_the_record_explains_itself() -> None:
    for name in MINE:
        result = CliRunner().invoke(main, [name, "--help"])
        assert result.exit_code == 0, result.output
        command = main.get_command(click.Context(main), name)
        assert command is not None
        for below in command.commands.values() if isinstance(command, click.Group) else [command]:
            assert below.help, f"{name} {below.name}"
            assert any("--instance" in option.opts for option in below.params)


def test_a_command_that_does_not_exist_is_a_usage_error() -> None:
    assert CliRunner().invoke(main, ["nonsense"]).exit_code == 2
