"""Slots, appointments and the common tables."""

import sqlalchemy as sa
from alembic import op

from services.common.tables import create_common_tables
from services.common.types import UtcDateTime

revision = "s0001"
down_revision = None


def upgrade() -> None:
    create_common_tables(op)
    op.create_table("calendar", sa.Column("practitioner", sa.String(128), primary_key=True))
    op.create_table(
        "slot",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("practitioner", sa.String(128), nullable=False),
        sa.Column("starts_at", UtcDateTime, nullable=False),
        sa.Column("ends_at", UtcDateTime, nullable=False),
        sa.Column("withdrawn_at", UtcDateTime, nullable=True),
    )
    op.create_index("ix_slot_starts_at", "slot", ["starts_at"])
    op.create_index("ix_slot_practitioner_starts_at", "slot", ["practitioner", "starts_at"])
    op.create_table(
        "appointment",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column(
            "slot_id", sa.Uuid, sa.ForeignKey("slot.id", name="fk_appointment_slot_id"), nullable=False
        ),
        sa.Column("patient", sa.String(128), nullable=False),
        sa.Column("practitioner", sa.String(128), nullable=False),
        sa.Column("starts_at", UtcDateTime, nullable=False),
        sa.Column("ends_at", UtcDateTime, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("booked_at", UtcDateTime, nullable=False),
        sa.Column("cancelled_at", UtcDateTime, nullable=True),
        sa.Column("cancelled_by", sa.String(16), nullable=False),
    )
    op.create_index(
        "uq_appointment_booked_slot",
        "appointment",
        ["slot_id"],
        unique=True,
        postgresql_where=sa.text("status = 'booked'"),
        sqlite_where=sa.text("status = 'booked'"),
    )
    op.create_index("ix_appointment_patient_starts_at", "appointment", ["patient", "starts_at"])
    op.create_index("ix_appointment_practitioner_starts_at", "appointment", ["practitioner", "starts_at"])


def downgrade() -> None:
    op.drop_table("appointment")
    op.drop_table("slot")
    op.drop_table("calendar")
    op.drop_table("outbox")
    op.drop_table("idempotency_key")
