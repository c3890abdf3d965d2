"""What calls may be at present: video, small pictures, voice alone, or the telephone."""

import sqlalchemy as sa
from alembic import op

from services.common.types import UtcDateTime

revision = "v0003"
down_revision = "v0002"


def upgrade() -> None:
    op.create_table(
        "call_mode",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("mode", sa.String(16), nullable=False),
        sa.Column("since", UtcDateTime, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("call_mode")
