"""HTML out of Python values. Text is escaped where it becomes HTML, so that nothing that was sent can become markup."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from typing import Final, cast

_VOID: Final = frozenset(("br", "input", "link", "meta"))


@dataclass(frozen=True, slots=True)
class Html:
    """Text that is HTML already."""

    text: str


def el(name: str, /, *children: object, **attributes: str | bool | int | None) -> Html:
    """An element. Attributes: `class_` and `for_` lose their underscore, others get hyphens for theirs; True is an
    attribute without a value, False and None are none. Children: Html, text, numbers, None, or several of those."""
    written = "".join(
        f" {_attribute(key)}" if value is True else f' {_attribute(key)}="{escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    if name in _VOID:
        return Html(f"<{name}{written}>")
    return Html(f"<{name}{written}>{joined(children).text}</{name}>")


def joined(children: Iterable[object]) -> Html:
    return Html("".join(map(_text, children)))


def _text(child: object) -> str:
    match child:
        case None:
            return ""
        case Html():
            return child.text
        case str() | int():
            return escape(str(child))
        case Iterable():
            return joined(cast(Iterable[object], child)).text
        case _:
            raise TypeError(f"{type(child).__name__} has no HTML form")


def _attribute(key: str) -> str:
    return key.rstrip("_").replace("_", "-")
