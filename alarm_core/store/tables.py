"""The tables. Changes go through `migrations/`; a test holds the two against each other."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

OPEN_PHASES = "phase IN ('received', 'verifying', 'alerting', 'attended')"


def _time(name: str, *, required: bool = False, now: bool = False) -> Column[object]:
    default = func.now() if now else None
    return Column(name, DateTime(timezone=True), nullable=not (required or now), server_default=default)


elder = Table(
    "elder",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("reference", Text, nullable=False, unique=True, comment="the elder's number in the district's own register"),
    Column("name", Text, nullable=False),
    Column("risk", Text, CheckConstraint("risk IN ('high', 'medium', 'low')", name="risk"), nullable=False),
    Column("district", Text, nullable=False, server_default=""),
    Column("street", Text, nullable=False, server_default=""),
    Column("compound", Text, nullable=False, server_default=""),
    Column("building", Text, nullable=False, server_default=""),
    Column("entrance", Text, nullable=False, server_default=""),
    Column("floor", Text, nullable=False, server_default=""),
    Column("room", Text, nullable=False, server_default=""),
    Column("landmark", Text, nullable=False, server_default=""),
    Column("way_in", Text, nullable=False, server_default=""),
    Column("note", Text, nullable=False, server_default=""),
    Column(
        "plan", JSONB, nullable=False, server_default=text("'{}'"), comment="own changes of plans (X6): kind → fields"
    ),
    _time("created_at", now=True),
    _time("updated_at", now=True),
    comment="the elder's file (Beijing B12)",
)

elder_phone = Table(
    "elder_phone",
    metadata,
    Column("elder_id", ForeignKey("elder.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("number", Text, nullable=False, index=True),
)

contact = Table(
    "contact",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("elder_id", ForeignKey("elder.id", ondelete="CASCADE"), nullable=False),
    Column("position", Integer, nullable=False),
    Column("name", Text, nullable=False),
    Column("relation", Text, nullable=False, server_default=""),
    Column("number", Text, comment="dialable form; null: nobody knows it yet"),
    Index("ix_contact_elder_id_position", "elder_id", "position"),
)

device = Table(
    "device",
    metadata,
    Column("id", Text, primary_key=True),
    Column("elder_id", ForeignKey("elder.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("kind", Text, nullable=False),
    Column("place", Text, nullable=False, server_default=""),
    Column("secret", Text, comment="signs its HTTP pushes; null: the service's common secret"),
    Column("heartbeat_seconds", Integer, comment="silent for longer raises heartbeat_lost; null: not watched"),
    _time("last_seen_at"),
    Column("state", Text, nullable=False, server_default="unknown"),
    Column("battery", Double),
    Column("silent", Boolean, nullable=False, server_default=text("false")),
    _time("created_at", now=True),
    # The sweep for silent devices reads only those that are watched and not known to be silent.
    Index("ix_device_watched", "last_seen_at", postgresql_where=text("heartbeat_seconds IS NOT NULL AND NOT silent")),
)

signal = Table(
    "signal",
    metadata,
    Column("device_id", Text, primary_key=True),
    Column("message_id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("state", Text, nullable=False),
    _time("at", required=True),
    _time("received_at", now=True),
    Column("source", Text, nullable=False),
    Column("value", JSONB),
    Column("battery", Double),
    Column("alarm_id", Uuid),
    Index("ix_signal_alarm_id", "alarm_id", postgresql_where=text("alarm_id IS NOT NULL")),
    Index("ix_signal_received_at", "received_at"),
    comment="every message that was understood, once: (device_id, message_id)",
)

rejected_signal = Table(
    "rejected_signal",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    _time("received_at", now=True),
    Column("source", Text, nullable=False),
    Column("topic", Text, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("reason", Text, nullable=False, index=True),
    Column("detail", Text, nullable=False),
    Column("device_id", Text),
    Column("dangerous", Boolean, nullable=False),
    Column("alarm_id", Uuid),
    comment="quarantine: messages that could not be taken as they are, kept whole with the reason",
)

alarm = Table(
    "alarm",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("elder_id", ForeignKey("elder.id"), index=True, comment="null: the device is not registered"),
    Column("device_id", Text, nullable=False, comment="of the signal that opened it"),
    Column("kind", Text, nullable=False),
    Column("severity", Integer, nullable=False),
    Column("phase", Text, nullable=False),
    Column("outcome", Text),
    _time("opened_at", required=True),
    _time("ended_at"),
    Column("seq", Integer, nullable=False),
    Column("brief", JSONB, nullable=False),
    Column("state", JSONB, nullable=False),
    # An elder has one open alarm: further signals join it.
    Index("uq_alarm_open_elder", "elder_id", unique=True, postgresql_where=text(OPEN_PHASES)),
    Index(
        "uq_alarm_open_device",
        "device_id",
        unique=True,
        postgresql_where=text(f"elder_id IS NULL AND {OPEN_PHASES}"),
    ),
    Index("ix_alarm_opened_at", "opened_at"),
    comment="the fold of the alarm's events",
)

event = Table(
    "event",
    metadata,
    Column("alarm_id", ForeignKey("alarm.id"), primary_key=True),
    Column("seq", Integer, primary_key=True),
    _time("at", required=True),
    Column("type", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("key", Text, comment="names the happening: the same key twice is the same event"),
    Column("data", JSONB, nullable=False),
    UniqueConstraint("alarm_id", "key"),
    comment="append-only log: the truth about each alarm (事件回溯)",
)

command = Table(
    "command",
    metadata,
    Column("key", Text, primary_key=True),
    Column("alarm_id", ForeignKey("alarm.id"), nullable=False),
    Column("type", Text, nullable=False),
    Column(
        "state", Text, CheckConstraint("state IN ('due', 'claimed', 'done', 'cancelled')", name="state"), nullable=False
    ),
    _time("due_at", required=True),
    _time("rank_at", required=True),
    Column("number", Text, comment="place_call: the phone"),
    Column("data", JSONB, nullable=False),
    Column("owner", Text),
    _time("lease_until"),
    Column("attempt", Integer, nullable=False, server_default="0"),
    _time("created_at", now=True),
    _time("finished_at"),
    # rank_at is due_at less the head start of urgency: urgent first, and nobody waits for ever.
    Index("ix_command_rank", "type", "rank_at", postgresql_where=text("state = 'due'")),
    Index("ix_command_due", "type", "due_at", postgresql_where=text("state = 'due'")),
    Index("ix_command_claimed", "lease_until", postgresql_where=text("state = 'claimed'")),
    Index("ix_command_alarm_id", "alarm_id"),
    comment="outbox and timer at once",
)

call = Table(
    "call",
    metadata,
    Column("id", Uuid, primary_key=True, comment="of a call we place: the command's key and Asterisk's ChannelId"),
    Column("alarm_id", ForeignKey("alarm.id"), nullable=False, index=True),
    Column("channel", Text, nullable=False, unique=True, comment="Asterisk's Uniqueid"),
    Column("direction", Text, CheckConstraint("direction IN ('in', 'out')", name="direction"), nullable=False),
    Column("party", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("who", Uuid),
    Column("number", Text, nullable=False),
    Column("trunk", Text, nullable=False),
    Column("node", Text, nullable=False),
    Column("ring_seconds", Double, nullable=False, server_default="0"),
    _time("placed_at", required=True),
    _time("ringing_at"),
    _time("answered_at"),
    _time("ended_at"),
    _time("free_at"),
    Column("hangup_cause", Integer),
    Column("keys", Text, nullable=False, server_default=""),
    Column("reply", Text),
    Column("outcome", Text),
    # The guarantee itself: one phone has at most one call of ours at any moment.
    Index(
        "uq_call_live_number", "number", unique=True, postgresql_where=text("ended_at IS NULL AND direction = 'out'")
    ),
    Index("ix_call_live_node", "node", postgresql_where=text("ended_at IS NULL")),
    # Phones that are taken: on a call, or perhaps still ringing after a call whose end nobody saw (free_at).
    Index("ix_call_taken", "number", postgresql_where=text("ended_at IS NULL OR free_at IS NOT NULL")),
    Index("ix_call_number", "number", "placed_at"),
    Index("ix_call_placed_at", "placed_at"),
    comment="the record of every call; free_at: a lost call's phone may ring until then",
)

node = Table(
    "node",
    metadata,
    Column("id", Text, primary_key=True),
    Column("owner", Text),
    _time("lease_until"),
    Column("rate", Double, comment="calls a second it allows itself now"),
    comment="one Asterisk; its ami role holds it by lease",
)

account = Table(
    "account",
    metadata,
    Column("name", Text, primary_key=True),
    Column("password_hash", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("active", Boolean, nullable=False, server_default=text("true")),
    _time("created_at", now=True),
)
