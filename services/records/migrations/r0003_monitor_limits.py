"""Patients' own limits for what their remote monitors measure."""

import sqlalchemy as sa
from alembic import op

from services.common.types import UtcDateTime

revision = "r0003"
down_revision = "r0002"


def upgrade() -> None:
    op.create_table(
        "monitor_limit",
        sa.Column("patient", sa.String(128), primary_key=True),
        sa.Column("code", sa.String(16), primary_key=True),
        sa.Column("low", sa.Double, nullable=True),
        sa.Column("high", sa.Double, nullable=True),
        sa.Column("author", sa.String(128), nullable=False),
        sa.Column("set_at", UtcDateTime, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("monitor_limit")
