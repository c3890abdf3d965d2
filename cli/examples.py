"""Examples in a command's help: the decorator that attaches them, and how they are laid out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])
_ATTRIBUTE = "__vitalops_examples__"


def examples(*lines: str) -> Callable[[F], F]:
    """Attach example command lines to a command function. They end up under its help.

    @examples("vitalops up", "vitalops up fr-par fr-gra --yes")
    def up(...): ...
    """

    def attach(function: F) -> F:
        setattr(function, _ATTRIBUTE, lines)
        return function

    return attach


def examples_of(function: object) -> tuple[str, ...]:
    """The examples that were attached to a command function."""
    return getattr(function, _ATTRIBUTE, ())


def epilog(lines: Sequence[str], written: str | None) -> str | None:
    """The end of a command's help: `written` if the command has an epilog of its own, else its examples."""
    if written:
        return _verbatim(written)
    if not lines:
        return None
    return _verbatim("Examples:\n" + "\n".join(f"  {line}" for line in lines))


def _verbatim(text: str) -> str:
    # A paragraph that starts with \b keeps its line breaks.
    paragraphs = [part for part in text.replace("\b\n", "").split("\n\n") if part.strip()]
    return "\n\n".join(f"\b\n{part}" for part in paragraphs)
