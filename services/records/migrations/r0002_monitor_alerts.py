"""Alerts of remote monitors; messages remember what traffic caused them."""

import sqlalchemy as sa
from alembic import op

from services.common.tables import add_synthetic_mark, remove_synthetic_mark
from services.common.types import UtcDateTime

revision = "r0002"
down_revision = "r0001"


def upgrade() -> None:
    add_synthetic_mark(op)
    op.create_table(
        "monitor_alert",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("patient", sa.String(128), nullable=False),
        sa.Column("observation", sa.String(64), nullable=False),
        sa.Column("finding", sa.String(32), nullable=False),
        sa.Column("practitioner", sa.String(128), nullable=False),
        sa.Column("raised_at", UtcDateTime, nullable=False),
    )
    op.create_index("ix_monitor_alert_patient_raised_at", "monitor_alert", ["patient", "raised_at"])


def downgrade() -> None:
    op.drop_table("monitor_alert")
    remove_synthetic_mark(op)
