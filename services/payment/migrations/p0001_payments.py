"""Payments, invoices and the common tables."""

import sqlalchemy as sa
from alembic import op

from services.common.tables import create_common_tables
from services.common.types import UtcDateTime

revision = "p0001"
down_revision = None

_PAID = "status IN ('authorised', 'captured')"


def upgrade() -> None:
    create_common_tables(op)
    op.create_table(
        "payment",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("appointment_id", sa.Uuid, nullable=False),
        sa.Column("patient", sa.String(128), nullable=False),
        sa.Column("practitioner", sa.String(128), nullable=False),
        sa.Column("amount_minor", sa.Integer, nullable=False),
        sa.Column("refunded_minor", sa.Integer, nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("decline_code", sa.String(64), nullable=False),
        sa.Column("provider", sa.String(32), nullable=False),
        sa.Column("provider_reference", sa.String(128), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
    )
    op.create_index(
        "uq_payment_paid_appointment",
        "payment",
        ["appointment_id"],
        unique=True,
        postgresql_where=sa.text(_PAID),
        sqlite_where=sa.text(_PAID),
    )
    op.create_index("ix_payment_patient_created_at", "payment", ["patient", "created_at"])
    op.create_index("ix_payment_practitioner_created_at", "payment", ["practitioner", "created_at"])
    op.create_table(
        "invoice_counter",
        sa.Column("year", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("last", sa.Integer, nullable=False),
    )
    op.create_table(
        "invoice",
        sa.Column("number", sa.String(16), primary_key=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column(
            "payment_id", sa.Uuid, sa.ForeignKey("payment.id", name="fk_invoice_payment_id"), nullable=False
        ),
        sa.Column("patient", sa.String(128), nullable=False),
        sa.Column("practitioner", sa.String(128), nullable=False),
        sa.Column("amount_minor", sa.Integer, nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("issued_at", UtcDateTime, nullable=False),
    )
    op.create_index("ix_invoice_payment_id", "invoice", ["payment_id"])
    op.create_index("ix_invoice_patient", "invoice", ["patient"])
    op.create_index("ix_invoice_practitioner", "invoice", ["practitioner"])


def downgrade() -> None:
    op.drop_table("invoice")
    op.drop_table("invoice_counter")
    op.drop_table("payment")
    op.drop_table("outbox")
    op.drop_table("idempotency_key")
