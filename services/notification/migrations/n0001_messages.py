"""Messages, the local provider's inbox and the common tables."""

import sqlalchemy as sa
from alembic import op

from services.common.tables import create_common_tables
from services.common.types import PortableJson, UtcDateTime

revision = "n0001"
down_revision = None


def upgrade() -> None:
    create_common_tables(op)
    op.create_table(
        "message",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("subject", sa.String(128), nullable=False),
        sa.Column("channel", sa.String(16), nullable=False),
        sa.Column("template", sa.String(64), nullable=False),
        sa.Column("parameters", PortableJson, nullable=False),
        sa.Column("reference", sa.String(128), nullable=False),
        sa.Column("sender", sa.String(128), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("due", UtcDateTime, nullable=False),
        sa.Column("last_error", sa.String(64), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("settled_at", UtcDateTime, nullable=True),
    )
    op.create_index("ix_message_reference", "message", ["reference"])
    op.create_index("ix_message_status_due", "message", ["status", "due"])
    op.create_index("ix_message_subject_created_at", "message", ["subject", "created_at"])
    op.create_table(
        "inbox_entry",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("subject", sa.String(128), nullable=False),
        sa.Column("text", sa.String(500), nullable=False),
        sa.Column("delivered_at", UtcDateTime, nullable=False),
    )
    op.create_index("ix_inbox_entry_subject", "inbox_entry", ["subject"])


def downgrade() -> None:
    op.drop_table("inbox_entry")
    op.drop_table("message")
    op.drop_table("outbox")
    op.drop_table("idempotency_key")
