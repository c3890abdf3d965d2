"""Subjects who get no tokens until a time."""

import sqlalchemy as sa
from alembic import op

from services.common.types import UtcDateTime

revision = "i0003"
down_revision = "i0002"


def upgrade() -> None:
    op.create_table(
        "revocation",
        sa.Column("subject", sa.String(128), primary_key=True),
        sa.Column("until", UtcDateTime, nullable=False),
        sa.Column("made_at", UtcDateTime, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("revocation")
