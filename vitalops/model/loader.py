"""Reads platform.yaml and reports everything that is wrong with it at once."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, TypeVar, cast

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from vitalops.errors import SpecErrors, SpecFault, UsageError
from vitalops.model.draft import Draft, Reference
from vitalops.model.platform import FailoverPair, Images, Platform, Region, Service
from vitalops.model.rules import RULES, warnings
from vitalops.model.schema import NAMED
from vitalops.model.slo import Sli, Tier
from vitalops.model.source import MAXIMUM_BYTES, Document, Flaw, Pointer, read_document
from vitalops.model.telemetry import PlannedWork, Telemetry
from vitalops.model.wording import flaws_of

Model = TypeVar("Model", bound=BaseModel)
_SLI: TypeAdapter[Sli] = TypeAdapter(Sli)


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
    return _mapping(data.get(section))


def _mapping(value: Any) -> dict[str, Any]:
    """`value` where it is a mapping, else an empty one."""
    return cast(dict[str, Any], value) if isinstance(value, dict) else {}


def _listed(data: dict[str, Any], key: str) -> list[Any]:
    listed = data.get(key)
    return cast(list[Any], listed) if isinstance(listed, list) else []


def _draft(data: dict[str, Any], named: dict[str, Any], today: date) -> Draft:
    images = _sound(Images, data["images"]) if isinstance(data.get("images"), dict) else None
    webhooks = _listed(_mapping(data.get("alerting")), "webhooks")
    planned = {index: _sound(PlannedWork, each) for index, each in enumerate(_listed(data, "planned_work"))}
    slis = {name: _sound_sli(value) for name, value in _entries(data, "slis").items()}
    return Draft(
        today=today,
        regions=_sound_entries(Region, named, "regions"),
        pairs=_sound_entries(FailoverPair, named, "pairs"),
        services=_sound_entries(Service, named, "services"),
        slis={name: sli for name, sli in slis.items() if sli is not None},
        tiers=_sound_entries(Tier, named, "tiers"),
        telemetry=_sound(Telemetry, data["telemetry"]) if "telemetry" in data else Telemetry(),
        planned_work={index: work for index, work in planned.items() if work is not None},
        webhooks=tuple(
            (index, name)
            for index, each in enumerate(webhooks)
            if isinstance(name := _mapping(each).get("name"), str)
        ),
        region_names=tuple(_entries(data, "regions")),
        pair_names=tuple(_entries(data, "pairs")),
        service_names=tuple(_entries(data, "services")),
        sli_names=tuple(_entries(data, "slis")),
        tier_names=tuple(_entries(data, "tiers")),
        references=tuple(_references(data)),
        registry=images.registry if images else None,
    )


def _references(data: dict[str, Any]) -> Iterable[Reference]:
    """Every name in the file that refers to something, from the data itself: also out of parts with other faults."""
    for name, pair in _entries(data, "pairs").items():
        for role in ("primary", "standby"):
            yield from _reference("region", _mapping(pair).get(role), ("pairs", name, role))
    for name, service in _entries(data, "services").items():
        own = _mapping(service)
        yield from _reference("tier", own.get("tier"), ("services", name, "tier"))
        for key, kind in (("depends_on", "service"), ("pairs", "pair")):
            yield from _list_of(kind, own, key, ("services", name))
    for section in ("tiers", "services"):
        for name, entry in _entries(data, section).items():
            for sli in _entries(_mapping(entry), "objectives"):
                yield Reference("sli", sli, (section, name, "objectives", sli))
    for index, work in enumerate(_listed(data, "planned_work")):
        for key, kind in (("regions", "region"), ("services", "service")):
            yield from _list_of(kind, _mapping(work), key, ("planned_work", index))


def _list_of(kind: str, data: dict[str, Any], key: str, place: Pointer) -> Iterable[Reference]:
    for index, name in enumerate(_listed(data, key)):
        yield from _reference(kind, name, (*place, key, index))


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


def _sound_sli(value: Any) -> Sli | None:
    try:
        return _SLI.validate_json(json.dumps(value), strict=True)
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
