"""Subjects whose access is revoked before their tokens run out: the gateways' deny list of a pair.

A subject is the platform's pseudonym of a person, or the name of a client. Entries end by themselves: each has a time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Final

from vitalops.errors import UsageError
from vitalops.secretstore.port import SecretStore

NAME: Final = "denied"
"""Of the pair's entry in the secret store."""
MAP_KEY: Final = "denied.map"
"""Key of the gateway's ConfigMap."""
MAP_FILE: Final = "/etc/haproxy/denied/denied.map"
_SUBJECT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


def checked_subject(subject: str) -> str:
    """`subject` if it may name one. Raises UsageError: an e-mail address or a name does not."""
    if not _SUBJECT.fullmatch(subject):
        raise UsageError(
            "that is no subject of the platform",
            hint="give the pseudonym (`sub` of the tokens, a UUID) or a client's name, never a person's name",
        )
    return subject


def denied(store: SecretStore, pair: str) -> dict[str, int]:
    """Ends of the revocations by subject, seconds since 1970; those that are over included."""
    kept = json.loads(store.get(f"{pair}/{NAME}") or "{}")
    return {str(subject): int(until) for subject, until in kept.items()}


def keep_denied(store: SecretStore, pair: str, entries: Mapping[str, int]) -> None:
    store.replace(f"{pair}/{NAME}", json.dumps(dict(entries), sort_keys=True))


def map_text(entries: Mapping[str, int]) -> str:
    """The map as HAProxy reads it. Never empty: HAProxy must find a file."""
    lines = [f"{checked_subject(subject)} {until}\n" for subject, until in sorted(entries.items())]
    return "# Subjects whose access is revoked, and until when.\n" + "".join(lines)
