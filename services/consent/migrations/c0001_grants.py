"""Grants and the common tables."""

import sqlalchemy as sa
from alembic import op

from services.common.tables import create_common_tables
from services.common.types import UtcDateTime

revision = "c0001"
down_revision = None


def upgrade() -> None:
    create_common_tables(op)
    op.create_table(
        "consent_grant",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("patient", sa.String(128), nullable=False),
        sa.Column("practitioner", sa.String(128), nullable=False),
        sa.Column("purpose", sa.String(64), nullable=False),
        sa.Column("text_version", sa.Integer, nullable=False),
        sa.Column("text_sha256", sa.String(64), nullable=False),
        sa.Column("granted_at", UtcDateTime, nullable=False),
        sa.Column("withdrawn_at", UtcDateTime, nullable=True),
        sa.Column("proof", sa.String(64), nullable=False),
    )
    op.create_index("ix_consent_grant_patient", "consent_grant", ["patient"])
    op.create_index(
        "uq_consent_grant_active",
        "consent_grant",
        ["patient", "practitioner", "purpose"],
        unique=True,
        postgresql_where=sa.text("withdrawn_at IS NULL"),
        sqlite_where=sa.text("withdrawn_at IS NULL"),
    )


def downgrade() -> None:
    op.drop_table("consent_grant")
    op.drop_table("outbox")
    op.drop_table("idempotency_key")
