"""Asking before something is changed or lost."""

from __future__ import annotations

import sys

from cli import context
from vitalops.errors import UsageError


def confirm(question: str) -> None:
    """Return when the user agrees to `question` (a sentence such as "Delete the volumes of fr-par?").

    Raises UsageError when the user does not, or when there is nobody to ask and --yes was not given.
    """
    if context.current().yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(f"nobody to ask: {question}", hint="add --yes to go ahead without being asked")
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise UsageError("not confirmed; nothing was changed")
