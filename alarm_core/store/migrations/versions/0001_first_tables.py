"""first tables"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "account",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_account")),
    )
    op.create_table(
        "elder",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False, comment="the elder's number in the district's own register"),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("risk", sa.Text(), nullable=False),
        sa.Column("district", sa.Text(), server_default="", nullable=False),
        sa.Column("street", sa.Text(), server_default="", nullable=False),
        sa.Column("compound", sa.Text(), server_default="", nullable=False),
        sa.Column("building", sa.Text(), server_default="", nullable=False),
        sa.Column("entrance", sa.Text(), server_default="", nullable=False),
        sa.Column("floor", sa.Text(), server_default="", nullable=False),
        sa.Column("room", sa.Text(), server_default="", nullable=False),
        sa.Column("landmark", sa.Text(), server_default="", nullable=False),
        sa.Column("way_in", sa.Text(), server_default="", nullable=False),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.Column(
            "plan",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
            comment="own changes of plans (X6): kind → fields",
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_elder")),
        sa.CheckConstraint("risk IN ('high', 'medium', 'low')", name=op.f("ck_elder_risk")),
        sa.UniqueConstraint("reference", name=op.f("uq_elder_reference")),
        comment="the elder's file (Beijing B12)",
    )
    op.create_table(
        "node",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("rate", sa.Double(), nullable=True, comment="calls a second it allows itself now"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_node")),
        comment="one Asterisk; its ami role holds it by lease",
    )
    op.create_table(
        "rejected_signal",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("device_id", sa.Text(), nullable=True),
        sa.Column("dangerous", sa.Boolean(), nullable=False),
        sa.Column("alarm_id", sa.Uuid(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rejected_signal")),
        comment="quarantine: messages that could not be taken as they are, kept whole with the reason",
    )
    op.create_index(op.f("ix_rejected_signal_reason"), "rejected_signal", ["reason"], unique=False)
    op.create_table(
        "signal",
        sa.Column("device_id", sa.Text(), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("value", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("battery", sa.Double(), nullable=True),
        sa.Column("alarm_id", sa.Uuid(), nullable=True),
        sa.PrimaryKeyConstraint("device_id", "message_id", name=op.f("pk_signal")),
        comment="every message that was understood, once: (device_id, message_id)",
    )
    op.create_index(
        "ix_signal_alarm_id", "signal", ["alarm_id"], unique=False, postgresql_where=sa.text("alarm_id IS NOT NULL")
    )
    op.create_index("ix_signal_received_at", "signal", ["received_at"], unique=False)
    op.create_table(
        "alarm",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("elder_id", sa.Uuid(), nullable=True, comment="null: the device is not registered"),
        sa.Column("device_id", sa.Text(), nullable=False, comment="of the signal that opened it"),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("severity", sa.Integer(), nullable=False),
        sa.Column("phase", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("brief", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("state", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.ForeignKeyConstraint(["elder_id"], ["elder.id"], name=op.f("fk_alarm_elder_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alarm")),
        comment="the fold of the alarm's events",
    )
    op.create_index(op.f("ix_alarm_elder_id"), "alarm", ["elder_id"], unique=False)
    op.create_index("ix_alarm_opened_at", "alarm", ["opened_at"], unique=False)
    op.create_index(
        "uq_alarm_open_device",
        "alarm",
        ["device_id"],
        unique=True,
        postgresql_where=sa.text("elder_id IS NULL AND phase IN ('received', 'verifying', 'alerting', 'attended')"),
    )
    op.create_index(
        "uq_alarm_open_elder",
        "alarm",
        ["elder_id"],
        unique=True,
        postgresql_where=sa.text("phase IN ('received', 'verifying', 'alerting', 'attended')"),
    )
    op.create_table(
        "contact",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("elder_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("relation", sa.Text(), server_default="", nullable=False),
        sa.Column("number", sa.Text(), nullable=True, comment="dialable form; null: nobody knows it yet"),
        sa.ForeignKeyConstraint(["elder_id"], ["elder.id"], name=op.f("fk_contact_elder_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contact")),
    )
    op.create_index("ix_contact_elder_id_position", "contact", ["elder_id", "position"], unique=False)
    op.create_table(
        "device",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("elder_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("place", sa.Text(), server_default="", nullable=False),
        sa.Column(
            "secret", sa.Text(), nullable=True, comment="signs its HTTP pushes; null: the service's common secret"
        ),
        sa.Column(
            "heartbeat_seconds",
            sa.Integer(),
            nullable=True,
            comment="silent for longer raises heartbeat_lost; null: not watched",
        ),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("state", sa.Text(), server_default="unknown", nullable=False),
        sa.Column("battery", sa.Double(), nullable=True),
        sa.Column("silent", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["elder_id"], ["elder.id"], name=op.f("fk_device_elder_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_device")),
    )
    op.create_index(op.f("ix_device_elder_id"), "device", ["elder_id"], unique=False)
    op.create_index(
        "ix_device_watched",
        "device",
        ["last_seen_at"],
        unique=False,
        postgresql_where=sa.text("heartbeat_seconds IS NOT NULL AND NOT silent"),
    )
    op.create_table(
        "elder_phone",
        sa.Column("elder_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["elder_id"], ["elder.id"], name=op.f("fk_elder_phone_elder_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("elder_id", "position", name=op.f("pk_elder_phone")),
    )
    op.create_index(op.f("ix_elder_phone_number"), "elder_phone", ["number"], unique=False)
    op.create_table(
        "call",
        sa.Column(
            "id", sa.Uuid(), nullable=False, comment="of a call we place: the command's key and Asterisk's ChannelId"
        ),
        sa.Column("alarm_id", sa.Uuid(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False, comment="Asterisk's Uniqueid"),
        sa.Column("direction", sa.Text(), nullable=False),
        sa.Column("party", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("who", sa.Uuid(), nullable=True),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("trunk", sa.Text(), nullable=False),
        sa.Column("node", sa.Text(), nullable=False),
        sa.Column("ring_seconds", sa.Double(), server_default="0", nullable=False),
        sa.Column("placed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ringing_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("free_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("hangup_cause", sa.Integer(), nullable=True),
        sa.Column("keys", sa.Text(), server_default="", nullable=False),
        sa.Column("reply", sa.Text(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["alarm_id"], ["alarm.id"], name=op.f("fk_call_alarm_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_call")),
        sa.CheckConstraint("direction IN ('in', 'out')", name=op.f("ck_call_direction")),
        sa.UniqueConstraint("channel", name=op.f("uq_call_channel")),
        comment="the record of every call; free_at: a lost call's phone may ring until then",
    )
    op.create_index(op.f("ix_call_alarm_id"), "call", ["alarm_id"], unique=False)
    op.create_index("ix_call_live_node", "call", ["node"], unique=False, postgresql_where=sa.text("ended_at IS NULL"))
    op.create_index(
        "ix_call_taken",
        "call",
        ["number"],
        unique=False,
        postgresql_where=sa.text("ended_at IS NULL OR free_at IS NOT NULL"),
    )
    op.create_index("ix_call_placed_at", "call", ["placed_at"], unique=False)
    op.create_index("ix_call_number", "call", ["number", "placed_at"], unique=False)
    op.create_index(
        "uq_call_live_number",
        "call",
        ["number"],
        unique=True,
        postgresql_where=sa.text("ended_at IS NULL AND direction = 'out'"),
    )
    op.create_table(
        "command",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("alarm_id", sa.Uuid(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("rank_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("number", sa.Text(), nullable=True, comment="place_call: the phone"),
        sa.Column("data", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempt", sa.Integer(), server_default="0", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["alarm_id"], ["alarm.id"], name=op.f("fk_command_alarm_id")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_command")),
        sa.CheckConstraint("state IN ('due', 'claimed', 'done', 'cancelled')", name=op.f("ck_command_state")),
        comment="outbox and timer at once",
    )
    op.create_index("ix_command_alarm_id", "command", ["alarm_id"], unique=False)
    op.create_index(
        "ix_command_claimed", "command", ["lease_until"], unique=False, postgresql_where=sa.text("state = 'claimed'")
    )
    op.create_index(
        "ix_command_due", "command", ["type", "due_at"], unique=False, postgresql_where=sa.text("state = 'due'")
    )
    op.create_index(
        "ix_command_rank", "command", ["type", "rank_at"], unique=False, postgresql_where=sa.text("state = 'due'")
    )
    op.create_table(
        "event",
        sa.Column("alarm_id", sa.Uuid(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=True, comment="names the happening: the same key twice is the same event"),
        sa.Column("data", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.ForeignKeyConstraint(["alarm_id"], ["alarm.id"], name=op.f("fk_event_alarm_id")),
        sa.PrimaryKeyConstraint("alarm_id", "seq", name=op.f("pk_event")),
        sa.UniqueConstraint("alarm_id", "key", name=op.f("uq_event_alarm_id_key")),
        comment="append-only log: the truth about each alarm (事件回溯)",
    )
