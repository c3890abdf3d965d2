"""Consultations, their events and the common tables."""

import sqlalchemy as sa
from alembic import op

from services.common.tables import create_common_tables
from services.common.types import UtcDateTime

revision = "v0001"
down_revision = None


def upgrade() -> None:
    create_common_tables(op)
    op.create_table(
        "consultation",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("appointment_id", sa.Uuid, nullable=False),
        sa.Column("patient", sa.String(128), nullable=False),
        sa.Column("practitioner", sa.String(128), nullable=False),
        sa.Column("starts_at", UtcDateTime, nullable=False),
        sa.Column("ends_at", UtcDateTime, nullable=False),
        sa.Column("room", sa.String(64), nullable=False),
        sa.Column("opened_at", UtcDateTime, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("ended", sa.Boolean, nullable=False),
        sa.Column("waiting_since", UtcDateTime, nullable=True),
        sa.Column("admitted_at", UtcDateTime, nullable=True),
        sa.Column("media_at", UtcDateTime, nullable=True),
        sa.Column("ended_at", UtcDateTime, nullable=True),
        sa.UniqueConstraint("appointment_id", name="uq_consultation_appointment_id"),
        sa.UniqueConstraint("room", name="uq_consultation_room"),
    )
    op.create_index("ix_consultation_patient_starts_at", "consultation", ["patient", "starts_at"])
    op.create_index("ix_consultation_practitioner_starts_at", "consultation", ["practitioner", "starts_at"])
    op.create_index("ix_consultation_ended_ends_at", "consultation", ["ended", "ends_at"])
    op.create_table(
        "consultation_event",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column(
            "consultation_id",
            sa.Uuid,
            sa.ForeignKey("consultation.id", name="fk_consultation_event_consultation_id"),
            nullable=False,
        ),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.Column("party", sa.String(16), nullable=False),
        sa.Column("session", sa.String(64), nullable=False),
        sa.Column("track", sa.String(64), nullable=False),
        sa.Column("room", sa.String(64), nullable=False),
        sa.Column("voluntary", sa.Boolean, nullable=False),
        sa.Column("outcome", sa.String(16), nullable=False),
    )
    op.create_index("ix_consultation_event_consultation_id", "consultation_event", ["consultation_id"])


def downgrade() -> None:
    op.drop_table("consultation_event")
    op.drop_table("consultation")
    op.drop_table("outbox")
    op.drop_table("idempotency_key")
