"""Alembic's entry: one transaction, under a lock, so that several processes may start at once."""

from __future__ import annotations

from alembic import context
from sqlalchemy import create_engine, pool, text

from alarm_core.store.tables import metadata

_LOCK = 7_201_119

engine = create_engine(context.config.attributes["url"], poolclass=pool.NullPool)
with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=metadata, compare_type=True)
    with context.begin_transaction():
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        context.run_migrations()
