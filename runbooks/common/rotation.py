"""What rotations share: a value that is replaced once a run, and put back on undo."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from hashlib import sha256

from vitalops.errors import UsageError
from vitalops.secretstore.port import SecretStore

FORMER = "former"
"""Folder of the secret store in which what was replaced is kept, for undo."""


def mark(value: str) -> str:
    """What tells one value from another without telling anything of it."""
    return sha256(b"vitalops rotation " + value.encode()).hexdigest()[:16]


def marks(store: SecretStore, names: Iterable[str]) -> dict[str, str]:
    """Marks of secrets by name. Raises UsageError for one that was never made."""
    found: dict[str, str] = {}
    for name in names:
        value = store.get(name)
        if value is None:
            raise UsageError(
                f"there is no secret {name}: it was not set up from here", hint="run vitalops up first"
            )
        found[name] = mark(value)
    return found


def replace_once(store: SecretStore, name: str, before: str, make: Callable[[str], str]) -> bool:
    """Replace the secret if it is still the one that `before` marks. Returns whether it was.

    The old value is kept first, so that whatever happens in between can be undone.
    """
    value = store.get(name) or ""
    if mark(value) != before:
        return False
    store.replace(f"{FORMER}/{name}", value)
    store.replace(name, make(value))
    return True


def put_back(store: SecretStore, name: str, before: str) -> bool:
    """Make the secret what `before` marks again. Returns whether anything was changed."""
    value, former = store.get(name) or "", store.get(f"{FORMER}/{name}") or ""
    if mark(value) == before or mark(former) != before:
        return False
    store.replace(name, former)
    return True
