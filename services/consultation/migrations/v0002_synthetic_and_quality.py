"""Consultations and messages remember what traffic caused them; how often a party reported its call's quality."""

import sqlalchemy as sa
from alembic import op

from services.common.tables import add_synthetic_mark, remove_synthetic_mark
from services.common.types import UtcDateTime

revision = "v0002"
down_revision = "v0001"


def upgrade() -> None:
    add_synthetic_mark(op)
    op.add_column(
        "consultation", sa.Column("synthetic", sa.Boolean, nullable=False, server_default=sa.false())
    )
    op.create_table(
        "quality_report",
        sa.Column(
            "consultation_id",
            sa.Uuid,
            sa.ForeignKey("consultation.id", name="fk_quality_report_consultation_id"),
            primary_key=True,
        ),
        sa.Column("party", sa.String(16), primary_key=True),
        sa.Column("reports", sa.Integer, nullable=False),
        sa.Column("last_at", UtcDateTime, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("quality_report")
    op.drop_column("consultation", "synthetic")
    remove_synthetic_mark(op)
