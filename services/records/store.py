"""Keeping and finding resources."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import ColumnElement, delete, exists, func, or_, select
from sqlalchemy.orm import Session

from services.records.fhir import Resource, ResourceType
from services.records.models import CodeRow, ResourceRow, VersionRow

Token = tuple[str | None, str]
"""(system, code) of a token search; a system of None means any."""


@dataclass(frozen=True, slots=True)
class Search:
    """What to find: all that is given must match, and one of the codes."""

    type: ResourceType
    patient: str
    id: str = ""
    encounter: str = ""
    codes: Sequence[Token] = field(default_factory=tuple[Token, ...])
    count: int = 50
    offset: int = 0


def create(session: Session, identifier: str, resource: Resource, author: str, now: datetime) -> ResourceRow:
    """Keep a new resource as version 1."""
    row = ResourceRow(
        type=resource.type,
        id=identifier,
        patient=resource.patient or identifier,
        encounter=resource.encounter,
        author=author,
        version=1,
        document=resource.document,
        updated_at=now,
    )
    session.add(row)
    session.flush()
    _keep(session, row, resource)
    return row


def update(session: Session, row: ResourceRow, resource: Resource, author: str, now: datetime) -> None:
    """Keep a new version of a locked resource."""
    row.encounter, row.document = resource.encounter, resource.document
    row.author, row.version, row.updated_at = author, row.version + 1, now
    session.execute(delete(CodeRow).where(CodeRow.type == row.type, CodeRow.id == row.id))
    _keep(session, row, resource)


def _keep(session: Session, row: ResourceRow, resource: Resource) -> None:
    session.add(
        VersionRow(
            type=row.type,
            id=row.id,
            version=row.version,
            author=row.author,
            document=row.document,
            updated_at=row.updated_at,
        )
    )
    session.add_all(
        CodeRow(type=row.type, id=row.id, system=system, code=code) for system, code in resource.codes
    )
    session.flush()


def find(session: Session, search: Search) -> tuple[Sequence[ResourceRow], int]:
    """One page of what matches, newest first, and how many match in all."""
    query = select(ResourceRow).where(ResourceRow.type == search.type, ResourceRow.patient == search.patient)
    if search.id:
        query = query.where(ResourceRow.id == search.id)
    if search.encounter:
        query = query.where(ResourceRow.encounter == search.encounter)
    if search.codes:
        query = query.where(or_(*(_has_code(system, code) for system, code in search.codes)))
    total = session.scalar(select(func.count()).select_from(query.subquery())) or 0
    page = (
        query.order_by(ResourceRow.updated_at.desc(), ResourceRow.id)
        .limit(search.count)
        .offset(search.offset)
    )
    return session.scalars(page).all(), total


def _has_code(system: str | None, code: str) -> ColumnElement[bool]:
    coded = exists().where(
        CodeRow.type == ResourceRow.type, CodeRow.id == ResourceRow.id, CodeRow.code == code
    )
    return coded if system is None else coded.where(CodeRow.system == system)
