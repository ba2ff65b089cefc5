"""`careline calls` and `careline signals --rejected`."""

from __future__ import annotations

import click

from alarm_core.store.database import Database
from alarm_core.store.documents import Documents
from service.cli.database import with_database
from service.cli.output import as_json, limit, local, print_json, print_table


@click.command()
@click.option("--live", is_flag=True, help="Only calls that last.")
@limit
@as_json
@with_database
async def calls(database: Database, live: bool, limit: int, as_json: bool) -> None:
    """List calls, the latest first."""
    found = await Documents(database).calls(live=True if live else None, limit=limit)
    if as_json:
        print_json(found)
        return
    print_table(
        ("call", "alarm", "party", "purpose", "number", "placed", "answered", "ended", "cause", "keys", "outcome"),
        (
            (
                str(one.id)[:8],
                str(one.alarm_id)[:8],
                one.party + (" (called in)" if one.direction == "in" else ""),
                one.purpose,
                one.number_masked,
                local(one.placed_at),
                local(one.answered_at),
                local(one.ended_at),
                one.hangup_cause,
                one.keys,
                one.outcome,
            )
            for one in found
        ),
        nothing="no calls",
    )


@click.command()
@click.option("--rejected", is_flag=True, required=True, help="Messages that could not be taken as they are.")
@click.option("--reason", help="Only with this reason (not_json, unknown_device, clock_off …).")
@limit
@as_json
@with_database
async def signals(database: Database, rejected: bool, reason: str | None, limit: int, as_json: bool) -> None:
    """List messages in quarantine, the latest first."""
    found = await Documents(database).rejected(reason=reason, limit=limit)
    if as_json:
        print_json(found)
        return
    print_table(
        ("id", "received", "source", "device", "reason", "detail", "alarm", "bytes", "begins"),
        (
            (
                one.id,
                local(one.received_at),
                one.source,
                one.device_id,
                one.reason + (" (danger)" if one.dangerous else ""),
                one.detail,
                str(one.alarm_id)[:8] if one.alarm_id else "",
                one.size,
                one.preview[:40],
            )
            for one in found
        ),
        nothing="nothing is in quarantine",
    )
