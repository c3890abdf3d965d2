"""Audit trail: every service tells the audit service what was done, by whom, to whose data, how it ended.

The event is stored in the outbox in the same transaction as what it tells of, so neither exists without the
other.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from sqlalchemy.orm import Session

from services.common.auth import Principal
from services.common.outbox import enqueue
from services.common.tracing import current

Outcome = Literal["success", "denied", "failure"]

# What the audit service takes: pseudonyms and identifiers, nothing that could be a sentence about somebody.
NAME_PATTERN = r"^[A-Za-z0-9._:@-]{1,128}$"
RESOURCE_PATTERN = r"^[A-Za-z0-9._:/@-]{1,200}$"
ACTION_PATTERN = r"^[a-z0-9][a-z0-9._:-]{0,63}$"
DETAIL_PATTERN = r"^[A-Za-z0-9 ._:/@+-]{0,128}$"
AUDIT_SERVICE = "audit"
EVENTS_PATH = "/v1/events"


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One thing that happened. Pseudonyms and identifiers only: no names, no clinical values.

    `action` is `<noun>.<verb in the past>` (`consent.granted`), `resource` a relative path (`grants/<id>`),
    `patient` the pseudonym (`sub`) of the patient whose data it touches, `detail` short strings.
    """

    action: str
    resource: str
    principal: Principal | None = None
    patient: str = ""
    outcome: Outcome = "success"
    detail: Mapping[str, str] = field(default_factory=lambda: dict[str, str]())

    def __post_init__(self) -> None:
        """Raises ValueError for what the audit service would refuse, before it is too late to tell anybody."""
        checks = [
            (ACTION_PATTERN, self.action),
            (RESOURCE_PATTERN, self.resource),
            (NAME_PATTERN, self.patient or "none"),
            *((ACTION_PATTERN, name) for name in self.detail),
            *((DETAIL_PATTERN, value) for value in self.detail.values()),
        ]
        for pattern, value in checks:
            if not re.fullmatch(pattern, value):
                raise ValueError(f"an audit entry of {self.action!r} has a field that does not fit {pattern}")


def record_audit(
    session: Session,
    principal: Principal | None,
    action: str,
    resource: str,
    *,
    patient: str = "",
    outcome: Outcome = "success",
    detail: Mapping[str, str] | None = None,
) -> str:
    """Record an event in the caller's transaction; returns the event's id."""
    entry = AuditEntry(action, resource, principal, patient, outcome, detail or {})
    return record_entry(session, entry)


def record_entry(session: Session, entry: AuditEntry) -> str:
    """Record a prepared entry in the caller's transaction; returns the event's id."""
    identifier, event = event_document(session, entry)
    return enqueue(session, AUDIT_SERVICE, EVENTS_PATH, event, message_id=identifier, batch_field="events")


def event_document(session: Session, entry: AuditEntry) -> tuple[str, dict[str, object]]:
    """An event's id and its document as the audit service takes it."""
    context = session.info["context"]
    identifier = str(uuid.uuid4())
    span = current()
    return identifier, {
        "id": identifier,
        "occurred_at": context.clock.now().isoformat(),
        "service": context.settings.service,
        "region": context.settings.region,
        "actor": entry.principal.subject if entry.principal else "anonymous",
        "actor_role": entry.principal.role if entry.principal else "anonymous",
        "action": entry.action,
        "resource": entry.resource,
        "patient": entry.patient,
        "outcome": entry.outcome,
        "trace_id": format(span.trace_id, "032x") if span.is_valid else "",
        "detail": dict(entry.detail),
    }
