"""What consent means, apart from where it is stored."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Reason = Literal["granted", "never-granted", "withdrawn"]


@dataclass(frozen=True, slots=True)
class Period:
    """The time that one grant covers; open-ended until it is withdrawn."""

    granted_at: datetime
    withdrawn_at: datetime | None


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a purpose is allowed at a moment, and why."""

    allowed: bool
    reason: Reason


def decide(grants: Sequence[Period], at: datetime) -> Decision:
    """Decide over every grant of one patient, practitioner and purpose.

    Withdrawal counts from its very moment.
    """
    given = [grant for grant in grants if grant.granted_at <= at]
    if any(grant.withdrawn_at is None or grant.withdrawn_at > at for grant in given):
        return Decision(True, "granted")
    return Decision(False, "withdrawn" if given else "never-granted")


def proof_of(
    *,
    grant_id: str,
    patient: str,
    practitioner: str,
    purpose: str,
    text_version: int,
    text_sha256: str,
    granted_at: datetime,
    token_id: str,
) -> str:
    """SHA-256 that binds who agreed to which words when, and under which sign-in (GDPR article 7(1))."""
    facts = {
        "grant": grant_id,
        "patient": patient,
        "practitioner": practitioner,
        "purpose": purpose,
        "text_version": text_version,
        "text_sha256": text_sha256,
        "granted_at": granted_at.isoformat(),
        "token_id": token_id,
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
