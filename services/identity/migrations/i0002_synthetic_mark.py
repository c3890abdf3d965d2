"""Messages remember what traffic caused them."""

from alembic import op

from services.common.tables import add_synthetic_mark, remove_synthetic_mark

revision = "i0002"
down_revision = "i0001"


def upgrade() -> None:
    add_synthetic_mark(op)


def downgrade() -> None:
    remove_synthetic_mark(op)
