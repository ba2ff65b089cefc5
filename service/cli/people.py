"""`careline elders …` and `careline devices …`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import click

from alarm_core.elders_csv import Fault, ImportFileError, read_elders
from alarm_core.numbers import masked
from alarm_core.planbook import PlanBook, PlanError
from alarm_core.store.database import Database
from alarm_core.store.people import People, UnknownRecordError
from service.cli.database import with_database
from service.cli.output import as_json, limit, local, print_json, print_table
from service.settings import load

_SHOWN_FAULTS = 50


def _people(database: Database) -> People:
    try:
        return People(database, PlanBook.load(load().plans))
    except PlanError as error:
        raise click.ClickException(str(error)) from None


@click.group()
def elders() -> None:
    """Import and list elders."""


@elders.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@as_json
@with_database
async def import_(database: Database, file: Path, as_json: bool) -> None:
    """Take elders, contacts and devices from a CSV file: all of it, or nothing.

    Columns: docs/api.md; an example: docs/examples/elders.csv. Importing again changes elders by their reference.
    """
    try:
        content = await asyncio.to_thread(file.read_bytes)
        imported = await _people(database).import_elders(read_elders(content))
    except ImportFileError as error:
        _refuse(file, error.faults, as_json=as_json)
    except OSError as error:
        raise click.ClickException(f"{file} cannot be read: {error.strerror}") from None
    counts = {
        "added": imported.added,
        "changed": imported.changed,
        "unchanged": imported.unchanged,
        "devices": imported.devices,
    }
    if as_json:
        print_json({"imported": True, **counts, "errors": []})
        return
    click.echo(
        f"{file}: {imported.added} elders added, {imported.changed} changed, {imported.unchanged} as they were; "
        f"{imported.devices} devices added or changed"
    )


def _refuse(file: Path, faults: list[Fault], *, as_json: bool) -> None:
    if as_json:
        errors = [{"row": one.row, "column": one.column, "message": one.message} for one in faults]
        print_json({"imported": False, "errors": errors})
    else:
        for one in faults[:_SHOWN_FAULTS]:
            click.echo(f"{file}: {one}", err=True)
        if len(faults) > _SHOWN_FAULTS:
            click.echo(f"… and {len(faults) - _SHOWN_FAULTS} more (--json lists them)", err=True)
        click.echo("nothing was imported: correct the file and import it again", err=True)
    sys.exit(1)


@elders.command("list")
@click.option("--search", default="", help="Part of a name, or a whole reference or phone number.")
@limit
@as_json
@with_database
async def list_elders(database: Database, search: str, limit: int, as_json: bool) -> None:
    """List elders in the order of their reference."""
    found = await _people(database).elders(search=search, limit=limit)
    if as_json:
        print_json(found)
        return
    print_table(
        ("reference", "name", "risk", "phones", "address"),
        (
            (one.reference, one.name, one.risk, " ".join(masked(n) or "" for n in one.phones), one.address)
            for one in found
        ),
        nothing="no elders: ./careline elders import FILE.csv",
    )


@click.group()
def devices() -> None:
    """List devices; give one a secret of its own."""


@devices.command("list")
@click.option("--silent", is_flag=True, help="Only devices whose heartbeat is missing.")
@limit
@as_json
@with_database
async def list_devices(database: Database, silent: bool, limit: int, as_json: bool) -> None:
    """List devices with the state that is known of them."""
    found = await _people(database).devices(silent=True if silent else None, limit=limit)
    if as_json:
        print_json(found)
        return
    print_table(
        ("id", "kind", "place", "state", "battery", "last seen", "heartbeat", "secret"),
        (
            (
                one.id,
                one.kind,
                one.place,
                "silent" if one.silent else one.state,
                "" if one.battery is None else f"{one.battery:.0%}",
                local(one.last_seen_at),
                "not watched" if one.heartbeat_seconds is None else f"{one.heartbeat_seconds} s",
                "own" if one.own_secret else "common",
            )
            for one in found
        ),
        nothing="no devices",
    )


@devices.command()
@click.argument("device_id", metavar="ID")
@click.option("--remove", is_flag=True, help="Let it sign with the common secret again.")
@with_database
async def secret(database: Database, device_id: str, remove: bool) -> None:
    """Give the device a new secret that signs its HTTP pushes; it is printed once."""
    try:
        if remove:
            await _people(database).remove_secret(device_id)
            click.echo(f"{device_id} signs with the common secret from now on")
        else:
            click.echo(await _people(database).new_secret(device_id))
    except UnknownRecordError:
        message = f"no device '{device_id}': ./careline devices list shows those there are"
        raise click.ClickException(message) from None
