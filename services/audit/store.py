"""Appending to and reading from the chain."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from services.audit.chain import Head, Link, canonical, extend
from services.audit.models import Record

# Appends are one at a time: a chain has one end.
_APPEND_LOCK = 0x6175_6469_74
_PAGE = 500


@dataclass(frozen=True, slots=True)
class Appended:
    """Outcome of appending a batch."""

    appended: int
    known: int
    head: Head


def read_head(session: Session) -> Head:
    """The end of the chain."""
    row = session.execute(
        select(Record.sequence, Record.digest).order_by(Record.sequence.desc()).limit(1)
    ).one_or_none()
    return Head(row.sequence, row.digest) if row else Head()


def append(session: Session, events: Sequence[Mapping[str, Any]]) -> Appended:
    """Append the events that are not in the chain yet, in the caller's transaction, in the order given."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _APPEND_LOCK})
    identifiers = [uuid.UUID(str(event["id"])) for event in events]
    known = set(session.scalars(select(Record.event_id).where(Record.event_id.in_(identifiers))))
    head, appended = read_head(session), 0
    for identifier, event in zip(identifiers, events, strict=True):
        if identifier in known:
            continue
        known.add(identifier)
        link = extend(head, event)
        session.add(_record(identifier, link))
        head = Head(link.sequence, link.digest)
        appended += 1
    session.flush()
    return Appended(appended, len(events) - appended, head)


def read_links(session: Session, *, after: int, until: int | None = None) -> Iterator[Link]:
    """Records after a number, in order, a page at a time."""
    position = after
    while True:
        query = select(Record).where(Record.sequence > position).order_by(Record.sequence).limit(_PAGE)
        if until is not None:
            query = query.where(Record.sequence <= until)
        rows = session.scalars(query).all()
        for row in rows:
            yield Link(row.sequence, _event_of(row.document), row.previous, row.digest)
            position = row.sequence
        session.expunge_all()
        if len(rows) < _PAGE:
            return


def digest_at(session: Session, sequence: int) -> str | None:
    """Digest of one record."""
    return session.scalar(select(Record.digest).where(Record.sequence == sequence))


def misfiled(session: Session, *, after: int) -> int | None:
    """The first record whose searchable copies differ from its document, or None.

    The chain vouches for documents; this vouches for what a search by the copies would find.
    """
    position = after
    while True:
        query = select(Record).where(Record.sequence > position).order_by(Record.sequence).limit(_PAGE)
        rows = session.scalars(query).all()
        for row in rows:
            copies = (str(row.event_id), row.actor, row.resource, row.patient, row.action)
            event = json.loads(row.document)
            if copies != tuple(str(event[name]) for name in ("id", "actor", "resource", "patient", "action")):
                return row.sequence
            position = row.sequence
        session.expunge_all()
        if len(rows) < _PAGE:
            return None


def _event_of(document: str) -> dict[str, Any]:
    """The event of a stored document; what is no JSON any more becomes empty, and so fits no digest."""
    try:
        event = json.loads(document)
    except ValueError:
        return {}
    return cast("dict[str, Any]", event) if isinstance(event, dict) else {}


def _record(identifier: uuid.UUID, link: Link) -> Record:
    event = link.event
    return Record(
        sequence=link.sequence,
        event_id=identifier,
        document=canonical(event).decode("utf-8"),
        previous=link.previous,
        digest=link.digest,
        occurred_at=datetime.fromisoformat(str(event["occurred_at"])),
        actor=str(event["actor"]),
        resource=str(event["resource"]),
        patient=str(event["patient"]),
        action=str(event["action"]),
    )
