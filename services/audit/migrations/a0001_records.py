"""The chain, guarded by a trigger, and the common tables."""

import sqlalchemy as sa
from alembic import op

from services.common.tables import create_common_tables
from services.common.types import UtcDateTime

revision = "a0001"
down_revision = None

_REFUSE = """
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'audit records cannot be changed or removed' USING ERRCODE = 'insufficient_privilege';
END
$$
"""
_GUARD_ROWS = """
CREATE TRIGGER audit_record_append_only BEFORE UPDATE OR DELETE ON audit_record
FOR EACH ROW EXECUTE FUNCTION refuse_change()
"""
_GUARD_TABLE = """
CREATE TRIGGER audit_record_no_truncate BEFORE TRUNCATE ON audit_record
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
"""


def upgrade() -> None:
    create_common_tables(op)
    op.create_table(
        "audit_record",
        sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("event_id", sa.Uuid, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("previous", sa.String(64), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("occurred_at", UtcDateTime, nullable=False),
        sa.Column("actor", sa.String(128), nullable=False),
        sa.Column("resource", sa.String(200), nullable=False),
        sa.Column("patient", sa.String(128), nullable=False),
        sa.Column("action", sa.String(64), nullable=False),
        sa.UniqueConstraint("event_id", name="uq_audit_record_event_id"),
    )
    for column in ("actor", "resource", "patient"):
        op.create_index(f"ix_audit_record_{column}", "audit_record", [column])
    if op.get_bind().dialect.name == "postgresql":
        for statement in (_REFUSE, _GUARD_ROWS, _GUARD_TABLE):
            op.execute(statement)


def downgrade() -> None:
    raise RuntimeError("an audit trail is not undone")
