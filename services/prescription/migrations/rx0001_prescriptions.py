"""Prescriptions and the common tables."""

import sqlalchemy as sa
from alembic import op

from services.common.tables import create_common_tables
from services.common.types import UtcDateTime

revision = "rx0001"
down_revision = None


def upgrade() -> None:
    create_common_tables(op)
    op.create_table(
        "prescription",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("patient", sa.String(128), nullable=False),
        sa.Column("prescriber", sa.String(128), nullable=False),
        sa.Column("consultation_id", sa.Uuid, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("issued_at", UtcDateTime, nullable=False),
        sa.Column("expires_at", UtcDateTime, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("status_at", UtcDateTime, nullable=False),
        sa.Column("revocation_reason", sa.String(32), nullable=False),
    )
    op.create_index("ix_prescription_patient_issued_at", "prescription", ["patient", "issued_at"])
    op.create_index("ix_prescription_prescriber_issued_at", "prescription", ["prescriber", "issued_at"])


def downgrade() -> None:
    op.drop_table("prescription")
    op.drop_table("outbox")
    op.drop_table("idempotency_key")
