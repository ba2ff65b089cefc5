"""How commands print: JSON documents, or tables for people."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import click
from pydantic import BaseModel
from rich.console import Console
from rich.table import Table
from rich.text import Text

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON on standard output.")
limit = click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="At most so many.")


def print_json(value: object) -> None:
    """One JSON document; models as the API shows them."""
    click.echo(json.dumps(_plain(value), ensure_ascii=False, indent=2))


def _plain(value: object) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def console() -> Console:
    """Where tables go. A pipe gets lines as long as they are, and no colours."""
    return Console(file=sys.stdout, width=None if sys.stdout.isatty() else 200, highlight=False)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, nothing: str) -> None:
    """A table whose cells are taken as they are: a name cannot colour the screen."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text("" if cell is None else str(cell)) for cell in row))
    console().print(table if table.row_count else Text(nothing))


def local(at: datetime | None) -> str:
    """A time on this machine's clock."""
    return "" if at is None else at.astimezone().strftime("%Y-%m-%d %H:%M:%S")
