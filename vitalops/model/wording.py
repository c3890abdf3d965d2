"""Turns what pydantic says about data into what its author can use: where in the file, what, and what instead."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, cast

from vitalops.model.schema import NAMED, expectation, file_schema, known_keys
from vitalops.model.source import Flaw, Pointer
from vitalops.suggest import closest, shown, suggestion

_SEE = "see `vitalops schema`"
_UNIONS: tuple[Pointer, ...] = (("regions", "*", "cluster"), ("slis", "*"))


def flaws_of(errors: Iterable[Mapping[str, Any]], data: Any) -> Iterator[Flaw]:
    """The flaws behind pydantic's `errors` over `data`, the file's own data (names still keys)."""
    schema = file_schema()
    seen: set[tuple[Pointer, str]] = set()
    for error in errors:
        location = tuple(error["loc"])
        if _about_injected_name(location):
            continue
        pointer, found = _in_file(_without_tags(location), data)
        flaw = _flaw(error, pointer, found, schema)
        for each in (flaw, *_keys_of_no_kind(error, pointer, found, schema)):
            if (each.pointer, each.problem) not in seen:
                seen.add((each.pointer, each.problem))
                yield each


def _about_injected_name(location: tuple[str | int, ...]) -> bool:
    # The same fault is reported for the mapping's key.
    return len(location) == 3 and location[0] in NAMED and location[2] == "name"


def _without_tags(location: Pointer) -> Pointer:
    # After a union pydantic adds which branch it took; that is no part of the file.
    for union in _UNIONS:
        here = location[: len(union)]
        if len(location) > len(union) and all(
            want in ("*", step) for want, step in zip(union, here, strict=True)
        ):
            return here + location[len(union) + 1 :]
    return location


def _in_file(location: Pointer, data: Any) -> tuple[Pointer, Any]:
    """The pointer in the file for a location in the model, and what is there (None where there is nothing)."""
    pointer: Pointer = ()
    for step in location:
        if step == "[key]":
            break
        pointer = (*pointer, step)
        match data:
            case dict():
                data = cast(dict[Any, Any], data).get(step)
            case list() if isinstance(step, int) and step < len(cast(list[Any], data)):
                data = cast(list[Any], data)[step]
            case _:
                data = None
    return pointer, data


def _flaw(error: Mapping[str, Any], pointer: Pointer, found: Any, schema: dict[str, Any]) -> Flaw:
    kind, last = str(error["type"]), pointer[-1] if pointer else ""
    expected = expectation(schema, pointer)
    should = f"it must be {expected}" if expected else _SEE
    also = "" if expected in ("", "text") else f"; {should}"
    match kind:
        case "missing":
            return Flaw(
                pointer, f"`{last}` is missing", f"add `{last}`: {expected}" if expected else f"add `{last}`"
            )
        case "extra_forbidden":
            known = known_keys(schema, pointer[:-1])
            return Flaw(pointer, f"unknown key {shown(last)}", suggestion(str(last), known))
        case "string_pattern_mismatch" if error["loc"][-1] == "[key]":
            return Flaw(pointer, f"{shown(last)} cannot be a name", "use " + _name_rule(schema))
        case "enum" | "literal_error":
            near = closest(str(found), _choices(error))
            return Flaw(
                pointer, f"{shown(found)} is not known", f"did you mean {near!r}?" if near else should
            )
        case "union_tag_invalid":
            choices = [each.strip(" '") for each in str(error["ctx"]["expected_tags"]).split(",")]
            tag = str(error["ctx"]["tag"])
            return Flaw((*pointer, _tag(error)), f"{shown(tag)} is not known", suggestion(tag, choices))
        case "union_tag_not_found" if isinstance(found, dict):
            return Flaw(
                pointer,
                f"`{_tag(error)}` is missing",
                f"add `{_tag(error)}`: {expectation(schema, (*pointer, _tag(error)))}",
            )
        case "string_type" if isinstance(found, int | float) and not isinstance(found, bool):
            return Flaw(pointer, f"{found} is a number, not text", f'write "{found}" in quotes{also}')
        case "int_type" | "float_type" if isinstance(found, str) and found.replace(".", "", 1).isdigit():
            return Flaw(pointer, f"{shown(found)} is text", f"write {found} without quotes{also}")
        case "less_than" | "float_type" if "objectives" in pointer and (share := _percentage(found)):
            return Flaw(pointer, f"{shown(found)} is a percentage", f"write the share: {share}")
        case "less_than" if "objectives" in pointer and found in (1, 100):
            return Flaw(
                pointer,
                "100 % leaves no error budget: the first failure breaks it, and every alert on it would be late",
                "promise what can be kept, such as 0.999",
            )
        case "string_too_short":
            return Flaw(pointer, "is empty", "fill it in")
        case _:
            return Flaw(
                pointer, "has no value" if found is None else f"cannot be {_described(found)}", should
            )


def _percentage(found: Any) -> str:
    """The share that an objective such as 99.9 or "99.9 %" was meant to be; empty where it was not a percentage."""
    try:
        percent = Decimal(str(found).strip().removesuffix("%").rstrip())
    except InvalidOperation:
        return ""
    return f"{(percent / 100).normalize():f}" if 1 < percent < 100 else ""


def _choices(error: Mapping[str, Any]) -> list[str]:
    words = str(error.get("ctx", {}).get("expected", "")).replace(" or ", ", ")
    return [each.strip(" '") for each in words.split(",")]


def _tag(error: Mapping[str, Any]) -> str:
    """The key that says which branch of a union is meant; pydantic quotes it."""
    return str(error["ctx"]["discriminator"]).strip("'")


def _keys_of_no_kind(
    error: Mapping[str, Any], pointer: Pointer, found: Any, schema: dict[str, Any]
) -> Iterator[Flaw]:
    """Unknown keys of a mapping that pydantic did not look into, because it could not tell which kind it is."""
    if error["type"] in ("union_tag_not_found", "union_tag_invalid") and isinstance(found, dict):
        known = known_keys(schema, pointer)
        for key in cast(dict[str, Any], found):
            if key not in known:
                yield Flaw((*pointer, key), f"unknown key {shown(key)}", suggestion(key, known))


def _name_rule(schema: dict[str, Any]) -> str:
    return str(schema["properties"]["regions"]["propertyNames"]["title"])


def _described(found: Any) -> str:
    match found:
        case dict():
            return "a mapping"
        case list():
            return "a list"
        case bool():
            return "true" if found else "false"
        case _:
            return shown(found)
