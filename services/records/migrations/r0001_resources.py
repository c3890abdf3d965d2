"""Resources, their versions and codes, and the common tables."""

import sqlalchemy as sa
from alembic import op

from services.common.tables import create_common_tables
from services.common.types import PortableJson, UtcDateTime

revision = "r0001"
down_revision = None


def upgrade() -> None:
    create_common_tables(op)
    op.create_table(
        "resource",
        sa.Column("type", sa.String(32), primary_key=True),
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("patient", sa.String(128), nullable=False),
        sa.Column("encounter", sa.String(64), nullable=False),
        sa.Column("author", sa.String(128), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("document", PortableJson, nullable=False),
        sa.Column("updated_at", UtcDateTime, nullable=False),
    )
    op.create_index("ix_resource_patient_type_updated_at", "resource", ["patient", "type", "updated_at"])
    op.create_index("ix_resource_encounter", "resource", ["encounter"])
    op.create_table(
        "resource_version",
        sa.Column("type", sa.String(32), primary_key=True),
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("author", sa.String(128), nullable=False),
        sa.Column("document", PortableJson, nullable=False),
        sa.Column("updated_at", UtcDateTime, nullable=False),
        sa.ForeignKeyConstraint(
            ["type", "id"], ["resource.type", "resource.id"], name="fk_resource_version_type_id"
        ),
    )
    op.create_table(
        "resource_code",
        sa.Column("type", sa.String(32), primary_key=True),
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("system", sa.String(200), primary_key=True),
        sa.Column("code", sa.String(100), primary_key=True),
        sa.ForeignKeyConstraint(
            ["type", "id"], ["resource.type", "resource.id"], name="fk_resource_code_type_id"
        ),
    )
    op.create_index("ix_resource_code_code_system", "resource_code", ["code", "system"])


def downgrade() -> None:
    op.drop_table("resource_code")
    op.drop_table("resource_version")
    op.drop_table("resource")
    op.drop_table("outbox")
    op.drop_table("idempotency_key")
