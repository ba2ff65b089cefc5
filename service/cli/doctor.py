"""`./careline doctor`: is everything here that an alarm needs? A line each, and what to do."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import stat
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Literal
from urllib.parse import urlsplit

import click
from pydantic import ValidationError

from alarm_core.planbook import PlanBook, PlanError
from alarm_core.store.database import AWAY, Database
from ami.link import AmiError, Link
from dialplan.values import ConfigError
from ivr.sounds import CatalogueError, load_catalogue
from service.servers import Servers
from service.settings import Settings, load

_FREE_GIB = 2
_CLOCK_SECONDS = 2.0
_START = "start it with ./careline up, or name your own with CARELINE_"


@dataclass(frozen=True)
class Finding:
    """One check: `ok`, `warning` (works, but not as it should) or `wrong`; `remedy` says what to do."""

    check: str
    state: Literal["ok", "warning", "wrong"]
    found: str
    remedy: str = ""


@click.command()
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def doctor(as_json: bool) -> None:
    """Check settings, servers, trunk, prompts, clock and disk. Exit status 1 when something is wrong."""
    findings = examine()
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings], ensure_ascii=False, indent=2))
    else:
        for finding in findings:
            mark = {"ok": "✓", "warning": "!", "wrong": "✗"}[finding.state]
            click.echo(f"{mark} {finding.check:10} {finding.found}")
            if finding.remedy:
                click.echo(f"  {'':10} → {finding.remedy}")
    sys.exit(any(finding.state == "wrong" for finding in findings))


def examine() -> list[Finding]:
    """Every check, in the order in which one depends on another."""
    try:
        settings = load()
        servers = Servers(settings)
    except (ValidationError, ConfigError, ValueError) as error:
        return [Finding("settings", "wrong", str(error), "correct it in the environment or in careline.env")]
    findings = [Finding("settings", "ok", f"instance {settings.instance}, state in {settings.state}")]
    findings += [_plans(settings), _prompts(), _duty(settings), _secrets(settings), _disk(settings)]
    findings += asyncio.run(_servers(servers))
    return findings


def _plans(settings: Settings) -> Finding:
    try:
        book = PlanBook.load(settings.plans)
    except PlanError as error:
        return Finding("plans", "wrong", str(error), "correct the file; docs/operations.md tells of every field")
    return Finding("plans", "ok", f"{len(book.kinds)} kinds")


def _prompts() -> Finding:
    try:
        return Finding("prompts", "ok", f"{len(load_catalogue())} prompts, each with its sound")
    except CatalogueError as error:
        return Finding("prompts", "wrong", str(error), "docs/prompts.md tells how prompts are made")


def _duty(settings: Settings) -> Finding:
    if settings.duty_phones:
        return Finding("duty", "ok", f"{len(settings.duty_phones)} duty phones")
    remedy = "set CARELINE_DUTY_PHONES=number,number: who is called when nobody else can be reached"
    return Finding("duty", "wrong", "no duty phone is set", remedy)


def _secrets(settings: Settings) -> Finding:
    folder = settings.state / "secrets"
    loose = [file.name for file in folder.glob("*") if stat.S_IMODE(file.stat().st_mode) & 0o077]
    if loose:
        return Finding("secrets", "wrong", f"others can read {', '.join(loose)}", f"chmod 600 {folder}/*")
    return Finding("secrets", "ok", "readable by their owner only")


def _disk(settings: Settings) -> Finding:
    free = shutil.disk_usage(settings.state if settings.state.exists() else ".").free / 2**30
    if free < _FREE_GIB:
        return Finding("disk", "wrong", f"{free:.1f} GiB free", f"make room: less than {_FREE_GIB} GiB will not do")
    return Finding("disk", "ok", f"{free:.0f} GiB free")


async def _servers(servers: Servers) -> list[Finding]:
    checks: list[Callable[[Servers], Awaitable[list[Finding]]]] = [_database, _broker, _asterisk]
    return [finding for check in checks for finding in await check(servers)]


async def _database(servers: Servers) -> list[Finding]:
    database = Database(servers.endpoints.database_url)
    try:
        before = datetime.now(UTC)
        there = await database.now()
        off = abs((there - before).total_seconds())
    except AWAY as error:
        reason = str(error).splitlines()[0][:120]
        return [Finding("database", "wrong", f"cannot be reached: {reason}", f"{_START}DATABASE_URL")]
    finally:
        await database.close()
    found = [Finding("database", "ok", "answers")]
    if off > _CLOCK_SECONDS:
        remedy = "set this machine's clock (NTP): times in logs will not agree; due times go by the database's"
        found.append(Finding("clock", "warning", f"{off:.0f} s apart from the database's", remedy))
    else:
        found.append(Finding("clock", "ok", "agrees with the database's"))
    return found


async def _broker(servers: Servers) -> list[Finding]:
    url = urlsplit(servers.endpoints.mqtt_url)
    try:
        with socket.create_connection((url.hostname or "", url.port or 1883), timeout=3):
            return [Finding("mqtt", "ok", f"answers at {url.hostname}:{url.port}")]
    except OSError as error:
        return [Finding("mqtt", "wrong", f"{url.hostname}:{url.port}: {error}", f"{_START}MQTT_URL")]


async def _asterisk(servers: Servers) -> list[Finding]:
    try:
        link = await Link.open(servers.endpoints.ami, lambda event: None)
    except AmiError as error:
        return [Finding("asterisk", "wrong", str(error), f"{_START}AMI_URL")]
    try:
        endpoints = await link.collect("PJSIPShowEndpoints", until="EndpointListComplete")
    except AmiError:
        endpoints = []
    finally:
        await link.close()
    found = [Finding("asterisk", "ok", "answers")]
    # The dialplan asks each trunk by a twin endpoint for its state (dialplan/templates/node/pjsip.conf.j2).
    states = {
        e["ObjectName"].removesuffix("-status"): e["DeviceState"] for e in endpoints if "-status" in e["ObjectName"]
    }
    if not states:
        remedy = "set CARELINE_TRUNK_HOST (docs/operations.md); without a trunk no call leaves"
        found.append(Finding("trunk", "wrong", "no trunk is set", remedy))
    for name, state in states.items():
        if state in ("Unavailable", "Invalid", "Unknown"):
            remedy = "check CARELINE_TRUNK_* and the way to the provider; many firewalls close UDP 5060"
            found.append(Finding("trunk", "wrong", f"{name} does not answer", remedy))
        else:
            found.append(Finding("trunk", "ok", f"{name} answers"))
    return found
