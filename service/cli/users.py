"""`careline users …`: the accounts of the API."""

from __future__ import annotations

import secrets
import sys

import click

from alarm_core.store.accounts import AccountError, Accounts, Role
from alarm_core.store.database import Database
from service.cli.database import with_database
from service.cli.output import as_json, print_json, print_table

_ROLES = click.Choice([role.value for role in Role])
_generate = click.option("--generate", is_flag=True, help="Make a password and print it once.")


@click.group()
def users() -> None:
    """Accounts: add, change, list."""


@users.command()
@click.argument("name")
@click.option("--role", type=_ROLES, required=True)
@_generate
@with_database
async def add(database: Database, name: str, role: str, generate: bool) -> None:
    """Add an account. The password is asked for; without a terminal, or with --generate, it is made and printed."""
    password, made = _password(generate=generate)
    try:
        await Accounts(database).add(name, password, Role(role))
    except AccountError as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"account '{name}' added, role {role}", err=True)
    if made:
        click.echo(password)


@users.command()
@click.argument("name")
@click.option("--role", type=_ROLES)
@click.option("--active/--disabled", default=None, help="Let the account in, or keep it out from now on.")
@click.option("--password", "new_password", is_flag=True, help="Set a new password; tokens of the old one end.")
@_generate
@with_database
async def change(
    database: Database, name: str, role: str | None, active: bool | None, new_password: bool, generate: bool
) -> None:
    """Change an account."""
    if role is None and active is None and not new_password:
        raise click.UsageError("nothing to change: give --role, --active, --disabled or --password")
    password, made = _password(generate=generate) if new_password else (None, False)
    try:
        chosen = None if role is None else Role(role)
        await Accounts(database).change(name, role=chosen, active=active, password=password)
    except AccountError as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"account '{name}' changed", err=True)
    if made:
        click.echo(password)


@users.command("list")
@as_json
@with_database
async def list_users(database: Database, as_json: bool) -> None:
    """List the accounts."""
    found = await Accounts(database).all()
    if as_json:
        print_json([{"name": one.name, "role": one.role.value, "active": one.active} for one in found])
        return
    print_table(
        ("name", "role", "active"),
        ((one.name, one.role, "yes" if one.active else "no") for one in found),
        nothing="no accounts: ./careline users add NAME --role admin",
    )


def _password(*, generate: bool) -> tuple[str, bool]:
    """The password, and whether it was made here and must be shown."""
    if generate or not sys.stdin.isatty():
        return secrets.token_urlsafe(15), True
    return click.prompt("Password", hide_input=True, confirmation_prompt=True), False
