"""Reads platform.yaml and reports everything that is wrong with it at once."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, TypeVar, cast

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from vitalops.errors import SpecErrors, SpecFault, UsageError
from vitalops.model.platform import FailoverPair, Images, Platform, Region, Service
from vitalops.model.rules import RULES, Draft, Reference, warnings
from vitalops.model.schema import NAMED
from vitalops.model.source import MAXIMUM_BYTES, Document, Flaw, Pointer, read_document
from vitalops.model.wording import flaws_of

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class LoadedPlatform:
    """A sound platform, and what about it will need attention."""

    platform: Platform
    warnings: tuple[SpecFault, ...]


def load_platform(path: Path, today: date) -> Platform:
    """The platform that the file describes. Certifications are judged as of `today`.

    Raises SpecErrors with all faults of the file, UsageError when it cannot be read.
    """
    return load_platform_with_warnings(path, today).platform


def load_platform_with_warnings(path: Path, today: date) -> LoadedPlatform:
    """As `load_platform`, with the warnings."""
    return parse_platform(_content(path), str(path), today)


def parse_platform(content: bytes, file: str, today: date) -> LoadedPlatform:
    """As `load_platform_with_warnings`, from the file's content; `file` is its name in messages."""
    document = read_document(content)
    root: Any = document.data
    if not isinstance(root, dict):
        if not document.flaws:
            document.flaws.append(
                Flaw((), "is not a mapping", "begin with `name:`, `regions:`, `pairs:` ...", 1)
            )
        raise SpecErrors(_faults(document, document.flaws, file))
    data = cast(dict[str, Any], root)
    named = _with_names(data)
    errors: list[ErrorDetails] = []
    platform: Platform | None = None
    try:
        # As JSON, because strictness there allows what a file needs (dates and enums as text) and nothing more.
        platform = Platform.model_validate_json(json.dumps(named), strict=True)
    except ValidationError as error:
        errors = error.errors(include_url=False)
    draft = _draft(data, named, today)
    flaws = [*document.flaws, *_given_names(data), *flaws_of(errors, data)]
    flaws += [flaw for rule in RULES for flaw in rule(draft)]
    if flaws or platform is None:
        raise SpecErrors(_faults(document, flaws, file))
    return LoadedPlatform(platform, _faults(document, warnings(draft), file))


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MAXIMUM_BYTES + 1)
    except OSError as error:
        raise UsageError(
            f"cannot read {path}: {error.strerror}", hint="name a platform file with --platform"
        ) from None
    if len(content) > MAXIMUM_BYTES:
        raise UsageError(f"{path} is larger than {MAXIMUM_BYTES} bytes", hint="is it a platform file?")
    return content


def _with_names(data: dict[str, Any]) -> dict[str, Any]:
    """The file's data with each named mapping's key also as its `name`."""
    named = dict(data)
    for section in NAMED:
        entries = data.get(section)
        if isinstance(entries, dict):
            named[section] = {
                key: {**value, "name": key} if isinstance(value, dict) else value
                for key, value in cast(dict[str, Any], entries).items()
            }
    return named


def _given_names(data: dict[str, Any]) -> Iterable[Flaw]:
    """A `name` inside a named mapping, where its key would be overruled silently."""
    for section in NAMED:
        for key, value in _entries(data, section).items():
            if isinstance(value, dict) and "name" in value:
                yield Flaw(
                    (section, key, "name"), "unknown key 'name'", "the key above it is the name: remove this"
                )


def _entries(data: dict[str, Any], section: str) -> dict[str, Any]:
    entries = data.get(section)
    return cast(dict[str, Any], entries) if isinstance(entries, dict) else {}


def _draft(data: dict[str, Any], named: dict[str, Any], today: date) -> Draft:
    images = _sound(Images, data["images"]) if isinstance(data.get("images"), dict) else None
    return Draft(
        today=today,
        regions=_sound_entries(Region, named, "regions"),
        pairs=_sound_entries(FailoverPair, named, "pairs"),
        services=_sound_entries(Service, named, "services"),
        region_names=tuple(_entries(data, "regions")),
        pair_names=tuple(_entries(data, "pairs")),
        service_names=tuple(_entries(data, "services")),
        references=tuple(_references(data)),
        registry=images.registry if images else None,
    )


def _references(data: dict[str, Any]) -> Iterable[Reference]:
    """Every name in the file that refers to something, from the data itself: also out of parts with other faults."""
    for name, pair in _entries(data, "pairs").items():
        if isinstance(pair, dict):
            for role in ("primary", "standby"):
                yield from _reference("region", cast(dict[str, Any], pair).get(role), ("pairs", name, role))
    for name, service in _entries(data, "services").items():
        for key, kind in (("depends_on", "service"), ("pairs", "pair")):
            listed = cast(dict[str, Any], service).get(key) if isinstance(service, dict) else None
            for index, other in enumerate(cast(list[Any], listed) if isinstance(listed, list) else ()):
                yield from _reference(kind, other, ("services", name, key, index))


def _reference(kind: str, name: Any, pointer: Pointer) -> Iterable[Reference]:
    if isinstance(name, str):
        yield Reference(kind, name, pointer)


def _sound_entries(model: type[Model], named: dict[str, Any], section: str) -> dict[str, Model]:
    parts = {key: _sound(model, value) for key, value in _entries(named, section).items()}
    return {key: part for key, part in parts.items() if part is not None}


def _sound(model: type[Model], value: Any) -> Model | None:
    try:
        return model.model_validate_json(json.dumps(value), strict=True)
    except ValidationError:
        return None


def _faults(document: Document, flaws: Iterable[Flaw], file: str) -> tuple[SpecFault, ...]:
    return tuple(
        sorted(
            SpecFault(file, document.line_of(flaw), _text(flaw.pointer), flaw.problem, flaw.hint)
            for flaw in flaws
        )
    )


def _text(pointer: Pointer) -> str:
    """RFC 6901."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in pointer)
