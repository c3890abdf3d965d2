"""Names out of the platform file for shell completion. Reads no more than the names, and never complains.

A command uses one with `typer.Argument(autocompletion=complete.regions)`.
"""

from __future__ import annotations

from typing import Any, cast

from cli import context


def regions(incomplete: str) -> list[str]:
    """Regions."""
    return _names(("regions",), incomplete)


def pairs(incomplete: str) -> list[str]:
    """Failover pairs."""
    return _names(("pairs",), incomplete)


def services(incomplete: str) -> list[str]:
    """Services."""
    return _names(("services",), incomplete)


def regions_and_pairs(incomplete: str) -> list[str]:
    """What commands that act on regions take."""
    return _names(("regions", "pairs"), incomplete)


def _names(sections: tuple[str, ...], incomplete: str) -> list[str]:
    from vitalops.model.source import MAXIMUM_BYTES, read_document

    try:
        with context.current().platform_path.open("rb") as file:
            data: Any = read_document(file.read(MAXIMUM_BYTES)).data
    except OSError:
        return []
    if not isinstance(data, dict):
        return []
    found: list[str] = []
    for section in sections:
        entries = cast(dict[str, Any], data).get(section)
        if isinstance(entries, dict):
            found += [name for name in cast(dict[str, Any], entries) if name.startswith(incomplete)]
    return found
