"""Tables that every service's database has, and the step of the first migration that makes them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Boolean, Column, Index, Integer, LargeBinary, String, Table, false

from services.common.types import PortableJson, UtcDateTime, service_metadata

COMMON = service_metadata()

IDEMPOTENCY = Table(
    "idempotency_key",
    COMMON,
    # Digest of subject, route and key: neither the key nor the subject is stored.
    Column("id", String(64), primary_key=True),
    # HMAC of the parameters under the key: says nothing to a reader of the table.
    Column("fingerprint", String(64), nullable=False),
    Column("status", Integer, nullable=False),
    Column("headers", PortableJson, nullable=False),
    # AES-GCM under a key derived from the idempotency key, which only the client has.
    Column("body", LargeBinary, nullable=False),
    Column("created_at", UtcDateTime, nullable=False, index=True),
)

OUTBOX = Table(
    "outbox",
    COMMON,
    Column("id", String(36), primary_key=True),
    Column("destination", String(64), nullable=False),
    Column("path", String(200), nullable=False),
    # Name of the list in the destination's body when messages may be sent together; empty: one by one.
    Column("batch_field", String(32), nullable=False, default=""),
    Column("body", PortableJson, nullable=False),
    Column("traceparent", String(64), nullable=False, default=""),
    Column("created_at", UtcDateTime, nullable=False),
    Column("next_attempt_at", UtcDateTime, nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    # Refused for good by the destination: kept for a person to look at.
    Column("dead", Boolean, nullable=False, default=False),
    Column("last_error", String(200), nullable=False, default=""),
    # Caused by synthetic traffic: its delivery is counted as such.
    Column("synthetic", Boolean, nullable=False, default=False),
    Index("ix_outbox_due", "dead", "next_attempt_at"),
)


def create_common_tables(operations: Any) -> None:
    """Create the shared tables in their first version; a service's first migration calls it with `op`."""
    operations.create_table(
        "idempotency_key",
        Column("id", String(64), primary_key=True),
        Column("fingerprint", String(64), nullable=False),
        Column("status", Integer, nullable=False),
        Column("headers", PortableJson, nullable=False),
        Column("body", LargeBinary, nullable=False),
        Column("created_at", UtcDateTime, nullable=False),
    )
    operations.create_index("ix_idempotency_key_created_at", "idempotency_key", ["created_at"])
    operations.create_table(
        "outbox",
        Column("id", String(36), primary_key=True),
        Column("destination", String(64), nullable=False),
        Column("path", String(200), nullable=False),
        Column("batch_field", String(32), nullable=False),
        Column("body", PortableJson, nullable=False),
        Column("traceparent", String(64), nullable=False),
        Column("created_at", UtcDateTime, nullable=False),
        Column("next_attempt_at", UtcDateTime, nullable=False),
        Column("attempts", Integer, nullable=False),
        Column("dead", Boolean, nullable=False),
        Column("last_error", String(200), nullable=False),
    )
    operations.create_index("ix_outbox_due", "outbox", ["dead", "next_attempt_at"])


def add_synthetic_mark(operations: Any) -> None:
    """Second version of the shared tables: messages remember what traffic caused them."""
    # With a default: a release that knows nothing of it may still be running.
    mark = Column("synthetic", Boolean, nullable=False, server_default=false())
    operations.add_column("outbox", mark)


def remove_synthetic_mark(operations: Any) -> None:
    """The way back."""
    operations.drop_column("outbox", "synthetic")
