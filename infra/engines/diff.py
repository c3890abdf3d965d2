"""Differences between two objects, field by field, with secrets masked."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from infra.engines.objects import Manifest, ObjectKey, comparable

MASK = "********"


class Action(StrEnum):
    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class FieldChange:
    """`path` is dotted, list items by their `name` where they have one. `old` or `new` is None where absent."""

    path: str
    old: str | None
    new: str | None


@dataclass(frozen=True, slots=True)
class Change:
    """What `up` does, or did, with one object."""

    cluster: str
    key: ObjectKey
    action: Action
    fields: tuple[FieldChange, ...] = ()


def compare(cluster: str, key: ObjectKey, old: Manifest | None, new: Manifest | None) -> Change:
    """The change that leads from a live object to the one that applying would give."""
    if old is None:
        return Change(cluster, key, Action.CREATE)
    if new is None:
        return Change(cluster, key, Action.DELETE)
    fields = tuple(_walk("", comparable(old), comparable(new), key.kind == "Secret"))
    return Change(cluster, key, Action.UPDATE if fields else Action.UNCHANGED, fields)


def _walk(path: str, old: Any, new: Any, secret: bool) -> list[FieldChange]:
    if old == new:
        return []
    if isinstance(old, dict) and isinstance(new, dict):
        return [
            change
            for name in sorted({*old, *new})
            for change in _walk(f"{path}.{name}" if path else str(name), old.get(name), new.get(name), secret)
        ]
    if isinstance(old, list) and isinstance(new, list):
        left, right = _named(old), _named(new)
        if left is not None and right is not None:
            return [
                change
                for name in [*left, *(name for name in right if name not in left)]
                for change in _walk(f"{path}[{name}]", left.get(name), right.get(name), secret)
            ]
    masked = secret and path.split(".")[0] in ("data", "stringData")
    return [FieldChange(path, _show(old, masked), _show(new, masked))]


def _named(items: list[Any]) -> dict[str, Any] | None:
    names = [item.get("name") if isinstance(item, dict) else None for item in items]
    if all(isinstance(name, str) for name in names) and len(set(names)) == len(names):
        return {str(name): item for name, item in zip(names, items, strict=True)}
    return None


def _show(value: Any, masked: bool) -> str | None:
    if value is None:
        return None
    if masked:
        return MASK
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)
