"""The audit trail of a walk: complete, and its chain recomputed here from the digests that were published."""

from __future__ import annotations

import asyncio
import hashlib
import json
from typing import Any, Final

from vitalops.consultation.http import Partial, until
from vitalops.consultation.state import Head, Walk
from vitalops.consultation.walk import Step, StepFailed

PAGE: Final = 500
DELIVERY_SECONDS: Final = 8.0
"""Services tell audit through outboxes, in their own time."""

EXPECTED: Final = frozenset(
    {
        ("patient.registered", "success"),
        ("signin.completed", "success"),
        ("slot.published", "success"),
        ("appointment.booked", "success"),
        ("consent.granted", "success"),
        ("consultation.opened", "success"),
        ("consultation.waiting", "success"),
        ("consultation.admitted", "success"),
        ("consultation.token", "success"),
        ("consultation.in_call", "success"),
        ("consultation.completed", "success"),
        ("record.created", "success"),
        ("record.read", "success"),
        ("monitor.alert-raised", "success"),
        ("prescription.issued", "success"),
        ("prescription.read", "success"),
        ("payment.authorised", "success"),
        ("payment.captured", "success"),
        ("notification.queued", "success"),
        # What another patient tried.
        ("appointment.read", "denied"),
        ("consultation.read", "denied"),
        ("consultation.joined", "denied"),
        ("record.read", "denied"),
        ("prescription.read", "denied"),
        ("payment.read", "denied"),
    }
)
"""(action, outcome) that a consultation and the attempts on it must leave behind."""


class _Record(Partial):
    sequence: int
    event: dict[str, Any]
    previous: str
    digest: str


class _Page(Partial):
    records: tuple[_Record, ...]
    next_after: int | None


class _Verification(Partial):
    intact: bool
    checked: int
    broken_at: int | None
    problem: str


async def head(walk: Walk) -> Head:
    """The end of the chain now: a checkpoint that vouches for all before it."""
    return await walk.edge.get(Head, "/audit/v1/chain/head", walk.operator)


async def _records(walk: Walk, after: int, **search: str) -> tuple[_Record, ...]:
    found: list[_Record] = []
    while True:
        parameters = {"after": str(after), "limit": str(PAGE)} | search
        page = await walk.edge.get(_Page, "/audit/v1/events", walk.operator, parameters)
        found += page.records
        if page.next_after is None:
            return tuple(found)
        after = page.next_after


def link_digest(sequence: int, event: dict[str, Any], previous: str) -> str:
    """SHA-256 over a record's canonical JSON: sorted keys, no spaces, UTF-8."""
    document = {"sequence": sequence, "event": event, "previous": previous}
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def check_links(start: Head, records: tuple[_Record, ...]) -> Head:
    """The end of an unbroken chain. Raises StepFailed naming the first record that does not fit."""
    at = start
    for record in records:
        if record.sequence != at.sequence + 1:
            raise StepFailed(f"record {at.sequence + 1} is missing from the audit trail")
        if record.previous != at.digest:
            raise StepFailed(f"audit record {record.sequence} does not continue the one before it")
        if record.digest != link_digest(record.sequence, record.event, record.previous):
            raise StepFailed(f"audit record {record.sequence} is not what its digest says")
        at = Head(sequence=record.sequence, digest=record.digest)
    return at


async def trail_complete(walk: Walk) -> str:
    """Whatever touches the patient, or was done by the practitioner."""

    async def look() -> dict[tuple[str, str], int]:
        touched, done, signed_in = await asyncio.gather(
            _records(walk, walk.audit_start.sequence, patient=walk.patient.subject),
            _records(walk, walk.audit_start.sequence, actor=walk.practitioner.subject),
            _records(walk, walk.audit_start.sequence, actor=walk.patient.subject),
        )
        unique = {record.sequence: record for record in (*touched, *done, *signed_in)}
        seen: dict[tuple[str, str], int] = {}
        for record in unique.values():
            kind = (str(record.event["action"]), str(record.event["outcome"]))
            seen[kind] = seen.get(kind, 0) + 1
        return seen

    def missing(seen: dict[tuple[str, str], int]) -> str:
        lacking = sorted(EXPECTED - seen.keys())
        return "without " + ", ".join(f"{action} ({outcome})" for action, outcome in lacking)

    seen = await until(look, lambda seen: seen.keys() >= EXPECTED, DELIVERY_SECONDS, missing)
    denied = sum(count for (_, outcome), count in seen.items() if outcome == "denied")
    return f"{sum(seen.values())} events of {len(seen)} kinds, {denied} of them refusals"


async def chain_intact(walk: Walk) -> str:
    records = await _records(walk, walk.audit_start.sequence)
    end = check_links(walk.audit_start, records)
    told = await walk.edge.get(
        _Verification,
        "/audit/v1/chain/verify",
        walk.operator,
        {"checkpoint_sequence": str(walk.audit_start.sequence), "checkpoint_digest": walk.audit_start.digest},
    )
    if not told.intact:
        raise StepFailed(f"audit says that its chain is broken at {told.broken_at}: {told.problem}")
    if end.sequence == walk.audit_start.sequence:
        raise StepFailed("nothing was appended to the audit trail")
    return f"{len(records)} records recomputed from checkpoint {walk.audit_start.sequence}, all linked"


STEPS: Final = (
    Step("audit trail is complete", trail_complete, limit_seconds=15),
    Step("audit chain is intact", chain_intact),
)
