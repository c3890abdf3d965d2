"""The port, and its in-memory fake."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Protocol

from vitalops.errors import UsageError

_NAME = re.compile(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?(/[a-z0-9]([a-z0-9._-]*[a-z0-9])?)*")


class SecretStore(Protocol):
    """Names are lower-case words joined by `-`, `.`, `_`, in folders by `/`: `database/records-password`.

    No implementation shows a value in its `repr`, in a message or in a log.
    """

    def get(self, name: str) -> str | None:
        """The secret, or None where there is none yet."""
        ...

    def get_or_create(self, name: str, make: Callable[[], str]) -> str:
        """The secret; made by `make` and kept when there is none yet.

        Of two callers at once one value wins and both get it; the other's value is dropped.
        """
        ...

    def replace(self, name: str, value: str) -> None:
        """Set the secret to `value` whether there was one or not (rotation)."""
        ...

    def names(self) -> tuple[str, ...]:
        """The names of all secrets, sorted."""
        ...


def checked_name(name: str) -> str:
    """`name` if it may name a secret. Raises UsageError otherwise."""
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot name a secret", hint="lower-case letters, digits, - . _ and / between"
        )
    return name


class InMemorySecretStore:
    """The fake: forgets everything when it goes."""

    def __init__(self) -> None:
        self._values: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"InMemorySecretStore({len(self._values)} secrets)"

    def get(self, name: str) -> str | None:
        return self._values.get(checked_name(name))

    def get_or_create(self, name: str, make: Callable[[], str]) -> str:
        if checked_name(name) not in self._values:
            value = make()
            self._values.setdefault(name, value)
        return self._values[name]

    def replace(self, name: str, value: str) -> None:
        self._values[checked_name(name)] = value

    def names(self) -> tuple[str, ...]:
        return tuple(sorted(self._values))
