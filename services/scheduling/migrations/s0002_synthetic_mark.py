"""Messages remember what traffic caused them."""

from alembic import op

from services.common.tables import add_synthetic_mark, remove_synthetic_mark

revision = "s0002"
down_revision = "s0001"


def upgrade() -> None:
    add_synthetic_mark(op)


def downgrade() -> None:
    remove_synthetic_mark(op)
