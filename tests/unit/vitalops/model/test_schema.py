from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import ROOT
from tests.unit.vitalops.model.conftest import TODAY, Text
from tests.unit.vitalops.model.test_loader_mutations import ENTRY_LINES, LINES, WORDS
from vitalops.errors import SpecErrors
from vitalops.model.loader import parse_platform
from vitalops.model.schema import expectation, file_schema, known_keys
from vitalops.model.source import read_document

VALIDATOR = jsonschema_rs.Draft202012Validator(file_schema())


def test_the_committed_schema_is_current(golden: Callable[[Path | str, str], None]) -> None:
    golden(
        ROOT / "docs" / "platform.schema.json", json.dumps(file_schema(), indent=2, ensure_ascii=False) + "\n"
    )


def test_the_schema_is_a_schema_and_accepts_the_bundled_file() -> None:
    assert jsonschema_rs.meta.is_valid(file_schema())
    data: Any = read_document((ROOT / "platform.yaml").read_bytes()).data
    VALIDATOR.validate(data)


def test_names_are_keys_in_the_file_not_fields() -> None:
    for section, model in (("regions", "Region"), ("pairs", "FailoverPair"), ("services", "Service")):
        schema = file_schema()
        assert "name" not in schema["$defs"][model]["properties"]
        assert "name" not in schema["$defs"][model]["required"]
        assert schema["properties"][section]["additionalProperties"] == {"$ref": f"#/$defs/{model}"}


@given(st.sampled_from(ENTRY_LINES), st.sampled_from(WORDS))
def test_what_the_schema_refuses_the_loader_refuses(index: int, word: str) -> None:
    key = LINES[index].split(":")[0]
    text = "".join([*LINES[:index], f"{key}: {word}\n", *LINES[index + 1 :]])
    data: Any = read_document(text.encode()).data
    if data is None or VALIDATOR.is_valid(data):
        return
    with pytest.raises(SpecErrors):
        parse_platform(text.encode(), "platform.yaml", TODAY)


def test_the_schema_refuses_a_bad_name(bundled: Text) -> None:
    data: Any = read_document(bundled.edit("  records:", "  Records:").content.encode()).data
    assert not VALIDATOR.is_valid(data)


def test_questions_to_the_schema() -> None:
    schema = file_schema()
    assert known_keys(schema, ("regions", "anything")) == ("jurisdiction", "certifications", "cluster")
    assert "threshold_ms" in known_keys(schema, ("slis", "x"))
    assert known_keys(schema, ("nowhere",)) == ()
    assert expectation(schema, ("services", "x", "layer")) == "one of system, process, experience"
    assert (
        expectation(schema, ("regions", "x", "cluster"))
        == "`local` or a mapping with context, gateway_address"
    )
