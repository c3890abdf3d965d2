"""Messages remember what traffic caused them and, where it matters, when what they tell of happened."""

import sqlalchemy as sa
from alembic import op

from services.common.tables import add_synthetic_mark, remove_synthetic_mark
from services.common.types import UtcDateTime

revision = "n0002"
down_revision = "n0001"


def upgrade() -> None:
    add_synthetic_mark(op)
    op.add_column("message", sa.Column("synthetic", sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("message", sa.Column("occurred_at", UtcDateTime, nullable=True))


def downgrade() -> None:
    op.drop_column("message", "occurred_at")
    op.drop_column("message", "synthetic")
    remove_synthetic_mark(op)
