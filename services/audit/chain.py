"""The hash chain: every record carries the digest of the one before it.

`digest(n) = SHA-256(canonical JSON of {event n, sequence n, previous digest})`, starting from 64 zeros. Changing,
removing, inserting or reordering any record breaks every digest after it, so a digest noted elsewhere (a checkpoint)
vouches for all that came before it. Only the end can be cut off unseen; noting the head tells of that too.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

GENESIS = "0" * 64


@dataclass(frozen=True, slots=True)
class Link:
    """One record of the chain as it is stored."""

    sequence: int
    event: Mapping[str, Any]
    previous: str
    digest: str


@dataclass(frozen=True, slots=True)
class Head:
    """The last record: its number (0: none yet) and digest."""

    sequence: int = 0
    digest: str = GENESIS


@dataclass(frozen=True, slots=True)
class Verification:
    """What recomputing found; `broken_at` is the first record that does not fit, `problem` says how."""

    intact: bool
    checked: int
    head: Head
    broken_at: int | None = None
    problem: str = ""


def canonical(document: Mapping[str, Any]) -> bytes:
    """One byte string for one document: sorted keys, no spaces, UTF-8."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8")


def link_digest(sequence: int, event: Mapping[str, Any], previous: str) -> str:
    """Digest of a record."""
    return hashlib.sha256(canonical({"sequence": sequence, "event": event, "previous": previous})).hexdigest()


def extend(head: Head, event: Mapping[str, Any]) -> Link:
    """The record that carries `event` after `head`."""
    sequence = head.sequence + 1
    return Link(sequence, event, head.digest, link_digest(sequence, event, head.digest))


def verify(links: Iterable[Link], start: Head) -> Verification:
    """Recompute every record after `start`, in order; stops at the first that does not fit."""
    head, checked = start, 0
    for link in links:
        problem = _problem(head, link)
        if problem:
            return Verification(False, checked, head, broken_at=head.sequence + 1, problem=problem)
        head = Head(link.sequence, link.digest)
        checked += 1
    return Verification(True, checked, head)


def _problem(head: Head, link: Link) -> str:
    if link.sequence != head.sequence + 1:
        return f"record {head.sequence + 1} is missing: {link.sequence} follows {head.sequence}"
    if link.previous != head.digest:
        return "it does not name the digest of the record before it"
    if link.digest != link_digest(link.sequence, link.event, link.previous):
        return "its digest does not fit its content"
    return ""
