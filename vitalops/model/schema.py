"""The JSON Schema of the platform *file*, for editors; and questions about it for the loader's messages.

The file differs from the model in one thing: a region's, pair's or service's name is its key, not a field.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, cast

from vitalops.model.platform import Platform
from vitalops.model.source import Pointer

NAMED = {"regions": "Region", "pairs": "FailoverPair", "services": "Service", "tiers": "Tier"}
"""Mappings of the file whose keys are names, and the model that each value becomes."""

_FORMATS = {
    "date": "a date such as 2028-05-31",
    "date-time": "a moment with its offset from UTC such as 2028-05-31T22:00:00Z",
}
_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def file_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of platform.yaml."""
    schema = Platform.model_json_schema()
    definitions: dict[str, Any] = schema["$defs"]
    for section, model in NAMED.items():
        definition = definitions[model]
        name = definition["properties"].pop("name")
        definition["required"].remove("name")
        schema["properties"][section] = {
            "type": "object",
            "description": schema["properties"][section].get("description", f"{model}s by name."),
            "propertyNames": {"pattern": name["pattern"], "title": name["title"]},
            "additionalProperties": {"$ref": f"#/$defs/{model}"},
        }
    schema["description"] = "A tele-health platform: regions, failover pairs, services and their objectives."
    return {"$schema": _DIALECT, **schema}


def schemas_at(schema: dict[str, Any], pointer: Pointer) -> tuple[dict[str, Any], ...]:
    """Every subschema that may describe what `pointer` names; empty for what is not in the schema."""
    current = list(_alternatives(schema, schema))
    for step in pointer:
        below = [found for each in current for found in _below(each, step)]
        current = [found for each in below for found in _alternatives(schema, each)]
    return tuple(current)


def known_keys(schema: dict[str, Any], pointer: Pointer) -> tuple[str, ...]:
    """The keys that a mapping at `pointer` may have."""
    keys = [
        key
        for each in schemas_at(schema, pointer)
        for key in cast(dict[str, Any], each.get("properties", {}))
    ]
    return tuple(dict.fromkeys(keys))


def expectation(schema: dict[str, Any], pointer: Pointer) -> str:
    """In words, what belongs at `pointer`; empty where the schema says nothing useful."""
    options = [words for each in schemas_at(schema, pointer) if (words := _words(each))]
    return " or ".join(dict.fromkeys(options))


def _below(schema: dict[str, Any], step: str | int) -> Iterator[dict[str, Any]]:
    if isinstance(step, int):
        if isinstance(schema.get("items"), dict):
            yield schema["items"]
        return
    properties = cast(dict[str, Any], schema.get("properties", {}))
    if step in properties:
        yield properties[step]
    elif isinstance(schema.get("additionalProperties"), dict):
        yield schema["additionalProperties"]
    for pattern, below in cast(dict[str, Any], schema.get("patternProperties", {})).items():
        if re.search(pattern, step):
            yield below


def _alternatives(root: dict[str, Any], schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    reference = schema.get("$ref")
    if isinstance(reference, str):
        yield from _alternatives(root, root["$defs"][reference.rpartition("/")[2]])
        return
    branches = [*schema.get("anyOf", ()), *schema.get("oneOf", ())]
    if not branches:
        yield schema
    for branch in branches:
        yield from _alternatives(root, branch)


def _words(schema: dict[str, Any]) -> str:
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return "one of " + ", ".join(map(str, schema["enum"]))
    if "pattern" in schema:
        return str(schema["title"])
    match schema.get("type"):
        case "integer" | "number" as kind:
            return ("a whole number" if kind == "integer" else "a number") + _range(schema)
        case "boolean":
            return "true or false"
        case "string":
            return _FORMATS.get(str(schema.get("format")), "text")
        case "array":
            return "a list"
        case "object":
            required = ", ".join(schema.get("required", ()))
            return f"a mapping with {required}" if required else "a mapping"
        case _:
            return ""


def _range(schema: dict[str, Any]) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    if low is not None and high is not None:
        return f" from {low} to {high}"
    if above is not None and below is not None:
        return f" between {above} and {below}"
    if low is not None:
        return f" of at least {low}"
    return f" above {above}" if above is not None else ""
