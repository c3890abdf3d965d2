"""People, sign-ins under way, codes, refresh tokens and the common tables."""

import sqlalchemy as sa
from alembic import op

from services.common.tables import create_common_tables
from services.common.types import PortableJson, UtcDateTime

revision = "i0001"
down_revision = None


def upgrade() -> None:
    create_common_tables(op)
    op.create_table(
        "person",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("given_name", sa.String(200), nullable=False),
        sa.Column("family_name", sa.String(200), nullable=False),
        sa.Column("email", sa.String(254), nullable=False),
        sa.Column("birth_date", sa.Date),
        sa.Column("speciality", sa.String(200), nullable=False),
        sa.Column("password_hash", sa.String(200), nullable=False),
        sa.Column("totp_sealed", sa.String(400)),
        sa.Column("totp_last_step", sa.BigInteger, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.UniqueConstraint("email", name="uq_person_email"),
    )
    op.create_table(
        "interaction",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("parameters", PortableJson, nullable=False),
        sa.Column("person_id", sa.Uuid, sa.ForeignKey("person.id", name="fk_interaction_person_id")),
        sa.Column("expires_at", UtcDateTime, nullable=False),
    )
    op.create_index("ix_interaction_expires_at", "interaction", ["expires_at"])
    op.create_table(
        "throttle",
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("locked_until", UtcDateTime),
        sa.Column("updated_at", UtcDateTime, nullable=False),
    )
    op.create_index("ix_throttle_updated_at", "throttle", ["updated_at"])
    op.create_table(
        "authorization_code",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("family", sa.Uuid, nullable=False),
        sa.Column("client_id", sa.String(64), nullable=False),
        sa.Column(
            "person_id",
            sa.Uuid,
            sa.ForeignKey("person.id", name="fk_authorization_code_person_id"),
            nullable=False,
        ),
        sa.Column("redirect_uri", sa.Text, nullable=False),
        sa.Column("scope", sa.String(400), nullable=False),
        sa.Column("nonce", sa.String(255), nullable=False),
        sa.Column("challenge", sa.String(128), nullable=False),
        sa.Column("amr", PortableJson, nullable=False),
        sa.Column("auth_time", UtcDateTime, nullable=False),
        sa.Column("expires_at", UtcDateTime, nullable=False),
        sa.Column("used_at", UtcDateTime),
    )
    op.create_index("ix_authorization_code_expires_at", "authorization_code", ["expires_at"])
    op.create_table(
        "refresh_token",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("family", sa.Uuid, nullable=False),
        sa.Column("client_id", sa.String(64), nullable=False),
        sa.Column(
            "person_id",
            sa.Uuid,
            sa.ForeignKey("person.id", name="fk_refresh_token_person_id"),
            nullable=False,
        ),
        sa.Column("scope", sa.String(400), nullable=False),
        sa.Column("amr", PortableJson, nullable=False),
        sa.Column("auth_time", UtcDateTime, nullable=False),
        sa.Column("expires_at", UtcDateTime, nullable=False),
        sa.Column("used_at", UtcDateTime),
        sa.Column("revoked_at", UtcDateTime),
    )
    op.create_index("ix_refresh_token_family", "refresh_token", ["family"])
    op.create_index("ix_refresh_token_expires_at", "refresh_token", ["expires_at"])


def downgrade() -> None:
    for table in ("refresh_token", "authorization_code", "throttle", "interaction", "person"):
        op.drop_table(table)
    op.drop_table("outbox")
    op.drop_table("idempotency_key")
