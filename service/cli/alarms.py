"""`careline alarms`, `careline alarm show`, `careline alarm replay`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any, get_args
from uuid import UUID

import click
from rich.text import Text

from alarm_core.documents import AlarmDocument, shown
from alarm_core.store.alarms import Alarms, replayed
from alarm_core.store.database import Database
from alarm_core.store.documents import Documents, State
from service.cli.database import with_database
from service.cli.output import as_json, console, limit, local, print_json, print_table
from service.timeline import lines


@click.command()
@click.option("--state", type=click.Choice(get_args(State)), default="open", show_default=True)
@click.option("--kind", help="Only of this kind.")
@limit
@as_json
@with_database
async def alarms(database: Database, state: State, kind: str | None, limit: int, as_json: bool) -> None:
    """List alarms, the latest first."""
    found = await Documents(database).alarms(state=state, kind=kind, limit=limit, details=as_json)
    if as_json:
        print_json(found)
        return
    print_table(
        ("id", "opened", "kind", "phase", "outcome", "elder", "address"),
        (
            (
                str(one.id)[:8],
                local(one.opened_at),
                f"{one.label.get('zh', '')} {one.kind}",
                one.phase,
                one.outcome,
                one.elder.name or f"device {one.device_id}",
                one.elder.address,
            )
            for one in found
        ),
        nothing="no alarms" if state == "all" else f"no alarms in state '{state}' (--state all shows every one)",
    )


@click.group()
def alarm() -> None:
    """Show one alarm, or replay its log."""


@alarm.command()
@click.argument("alarm_id", metavar="ID")
@as_json
@with_database
async def show(database: Database, alarm_id: str, as_json: bool) -> None:
    """The timeline of an alarm. ID: its id, or the beginning of it."""
    documents = Documents(database)
    document = await documents.alarm(await _named(documents, alarm_id))
    if as_json:
        print_json(document)
    else:
        _print_story(document)


def _print_story(document: AlarmDocument) -> None:
    out = console()
    elder = document.elder
    where = f"{elder.name} · {elder.address}" if elder.name else f"未登记的设备 · device {document.device_id}"
    out.print(Text(f"{document.label.get('zh', '')} {document.label.get('en', document.kind)}", style="bold"))
    out.print(Text(where))
    if elder.way_in:
        out.print(Text(f"进门 · way in: {elder.way_in}"))
    out.print(Text(f"{document.phase}, {document.outcome or 'no outcome yet'} · {document.id}"))
    out.print()
    for line in lines(document.model_dump(mode="json")):
        out.print(Text(f"{local(line.at)} {line.since_opening:+9.1f} s  {line.zh} · {line.en}"), soft_wrap=True)
    out.print()
    print_table(
        ("call", "party", "number", "placed", "answered", "ended", "cause", "keys", "outcome"),
        (
            (
                str(call.id)[:8],
                f"{call.party} {call.name or ''}".strip() + (" (called in)" if call.direction == "in" else ""),
                call.number_masked,
                local(call.placed_at),
                local(call.answered_at),
                local(call.ended_at),
                call.hangup_cause,
                call.keys,
                call.outcome,
            )
            for call in document.calls
        ),
        nothing="没有通话 · no calls",
    )


@alarm.command()
@click.argument("alarm_id", metavar="ID")
@as_json
@with_database
async def replay(database: Database, alarm_id: str, as_json: bool) -> None:
    """Fold the log anew by the rules and hold the result against the stored alarm; exit status 1 if they differ."""
    found = await _named(Documents(database), alarm_id)
    store = Alarms(database)
    stored = await store.load(found)
    # Read after the row: it may hold more events than the row had seen.
    history = (await store.history(found))[: stored.seq]
    folded = replayed(found, history)
    differences = list(_differences("", folded.model_dump(mode="json"), stored.model_dump(mode="json")))
    if as_json:
        print_json({"id": str(found), "events": len(history), "same": not differences, "differences": differences})
    elif differences:
        click.echo(f"alarm {found}: the fold of its {len(history)} events differs from the stored alarm in")
        for one in differences:
            click.echo(f"  {one['field']}: the log gives {one['log']!r}, stored is {one['stored']!r}")
    else:
        click.echo(f"alarm {found}: its {len(history)} events give the stored alarm")
    if differences:
        sys.exit(1)


def _differences(field: str, log: Any, stored: Any) -> Iterator[dict[str, Any]]:
    if isinstance(log, dict) and isinstance(stored, dict):
        for key in sorted(log.keys() | stored.keys()):
            yield from _differences(f"{field}.{key}" if field else key, log.get(key), stored.get(key))
    elif log != stored:
        name = field.rpartition(".")[2]
        yield {"field": field, "log": shown(log, name), "stored": shown(stored, name)}


async def _named(documents: Documents, prefix: str) -> UUID:
    found = await documents.alarm_ids(prefix)
    if not found:
        raise click.ClickException(f"no alarm's id begins with '{prefix}': ./careline alarms --state all lists them")
    if len(found) > 1:
        raise click.ClickException(f"several alarms' ids begin with '{prefix}': write more of it")
    return found[0]
