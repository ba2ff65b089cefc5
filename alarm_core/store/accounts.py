"""Accounts of the people who use the service, and their passwords (argon2)."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any

import psycopg.errors
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from alarm_core.store.database import Database

MIN_PASSWORD, MAX_PASSWORD = 10, 200
_NAME = re.compile(r"[\w.@-]{1,64}")

_ADD = "INSERT INTO account (name, password_hash, role) VALUES (%s, %s, %s)"
_ALL = "SELECT name, role, active, password_hash FROM account ORDER BY name"
_ONE = "SELECT name, role, active, password_hash FROM account WHERE name = %s"
_CHANGE = """
UPDATE account SET role = coalesce(%s, role), active = coalesce(%s, active),
       password_hash = coalesce(%s, password_hash) WHERE name = %s RETURNING name
"""


class Role(StrEnum):
    """What an account may do; each may do what the ones after it may.

    admin: accounts, devices' secrets. supervisor: elders, contacts, devices. staff: the elders' files, entries in
    alarms, messages in quarantine. viewer: alarms and calls with numbers masked.
    """

    ADMIN = "admin"
    SUPERVISOR = "supervisor"
    STAFF = "staff"
    VIEWER = "viewer"

    def covers(self, needed: Role) -> bool:
        order = list(Role)
        return order.index(self) <= order.index(needed)


class AccountError(ValueError):
    """The account cannot be made or changed; the text says why."""


@dataclass(frozen=True, slots=True)
class Account:
    """`stamp` changes with the password: a token that carries an older one holds no longer."""

    name: str
    role: Role
    active: bool
    stamp: str


@cache
def _hasher() -> PasswordHash:
    return PasswordHash((Argon2Hasher(),))


@cache
def _nobodys_hash() -> str:
    """Held against the password when there is no such account, so that the answer takes as long."""
    return _hasher().hash("nobody")


class Accounts:
    def __init__(self, database: Database) -> None:
        self._database = database
        # A hash takes 64 MiB and a core for some 50 ms: more at once would only take them from the alarms.
        self._hashing = asyncio.Semaphore(2)

    async def add(self, name: str, password: str, role: Role) -> Account:
        """Raises AccountError."""
        if not _NAME.fullmatch(name):
            raise AccountError("a name has 1 to 64 letters, digits and . _ @ -")
        hashed = await self._hashed(password)
        try:
            async with self._database.transaction() as tx:
                await tx.together([(_ADD, (name, hashed, role.value))], commit=True)
        except psycopg.errors.UniqueViolation:
            raise AccountError("there is an account of this name already") from None
        return Account(name, role, True, _stamp(hashed))

    async def change(
        self, name: str, *, role: Role | None = None, active: bool | None = None, password: str | None = None
    ) -> None:
        """Change what is given. Tokens of a switched-off account or of an old password end at once."""
        hashed = None if password is None else await self._hashed(password)
        async with self._database.transaction() as tx:
            rows = await tx.all(_CHANGE, (None if role is None else role.value, active, hashed, name))
        if not rows:
            raise AccountError("there is no account of this name")

    async def all(self) -> list[Account]:
        async with self._database.transaction() as tx:
            return [_account(row) for row in await tx.all(_ALL)]

    async def get(self, name: str) -> Account | None:
        """The account, if it is active."""
        row = await self._row(name)
        return _account(row) if row and row[2] else None

    async def login(self, name: str, password: str) -> Account | None:
        """The account if name and password belong together; takes as long if they do not."""
        row = await self._row(name)
        hashed = row[3] if row else _nobodys_hash()
        async with self._hashing:
            fits = await asyncio.to_thread(_fits, password, hashed)
        return _account(row) if row and fits and row[2] else None

    async def _hashed(self, password: str) -> str:
        if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
            raise AccountError(f"a password has {MIN_PASSWORD} to {MAX_PASSWORD} characters")
        async with self._hashing:
            return await asyncio.to_thread(_hasher().hash, password)

    async def _row(self, name: str) -> Sequence[Any] | None:
        if not _NAME.fullmatch(name):
            return None
        async with self._database.transaction() as tx:
            rows = await tx.all(_ONE, (name,))
        return rows[0] if rows else None


def _fits(password: str, hashed: str) -> bool:
    return _hasher().verify(password, hashed)


def _account(row: Sequence[Any]) -> Account:
    name, role, active, hashed = row
    return Account(name, Role(role), active, _stamp(hashed))


def _stamp(hashed: str) -> str:
    return hashlib.sha256(hashed.encode()).hexdigest()[:16]
