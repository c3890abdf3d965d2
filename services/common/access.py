"""Reading somebody's data leaves a trace too, and also where nothing can be written."""

from __future__ import annotations

from sqlalchemy.orm import Session

from services.common.audit import AuditEntry, event_document, record_entry
from services.common.auth import Principal
from services.common.db import is_standby
from services.common.logs import get_logger

log = get_logger("services.access")


def record_access(
    session: Session, principal: Principal, action: str, resource: str, *, patient: str
) -> None:
    """Record that `principal` read data of `patient`: through the outbox, or on a standby in the log.

    A standby serves reads but takes no writes; its log goes to another system, so the trace is not lost with it.
    """
    entry = AuditEntry(action, resource, principal, patient)
    if is_standby(session):
        _, event = event_document(session, entry)
        log.info(
            "access", **{name: value for name, value in event.items() if name not in {"service", "region"}}
        )
        return
    record_entry(session, entry)
