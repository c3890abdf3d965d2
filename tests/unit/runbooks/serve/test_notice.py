"""What Alertmanager posts, and what anybody else might."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runbooks.serve.notice import LONGEST_VALUE, Malformed, read_message

ALERT: dict[str, Any] = {
    "status": "firing",
    "labels": {"alertname": "ErrorBudgetBurn", "region": "fr-par", "severity": "page"},
    "annotations": {"summary": "records burns its budget", "runbook_url": "x"},
    "startsAt": "2026-01-01T12:00:00.123456789Z",
    "endsAt": "0001-01-01T00:00:00Z",
    "generatorURL": "http://x",
    "fingerprint": "0123456789abcdef",
}
MESSAGE: dict[str, Any] = {
    "version": "4",
    "status": "firing",
    "receiver": "r",
    "alerts": [ALERT],
    "groupKey": "{}",
}


def message(**changes: Any) -> bytes:
    return json.dumps({**MESSAGE, "alerts": [{**ALERT, **changes}]}).encode()


def test_a_firing_alert() -> None:
    (found,) = read_message(json.dumps(MESSAGE).encode())
    assert found.name == "ErrorBudgetBurn"
    assert found.started == datetime(2026, 1, 1, 12, 0, 0, 123456, tzinfo=UTC)
    assert found.ended is None
    assert found.summary == "records burns its budget"
    assert found.key == "0123456789abcdef/2026-01-01T12:00:00.123456+00:00"


def test_a_resolved_alert_is_the_same_incident() -> None:
    (firing,) = read_message(message())
    (resolved,) = read_message(message(status="resolved", endsAt="2026-01-01T13:30:00+01:00"))
    assert resolved.ended == datetime(2026, 1, 1, 12, 30, tzinfo=UTC)
    assert resolved.key == firing.key


def test_the_time_zone_in_which_it_is_told_makes_no_other_incident() -> None:
    (one,) = read_message(message(startsAt="2026-01-01T12:00:00Z"))
    (two,) = read_message(message(startsAt="2026-01-01T13:00:00+01:00"))
    assert one.key == two.key


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"\xff", "not JSON"),
        (b"[]", "not an object"),
        (b'{"version":"3"}', "version"),
        (b'{"version":"4"}', "alerts is not a list"),
        (b'{"version":"4","alerts":[1]}', r"alerts\[0\] is not an object"),
        (message(fingerprint="../../x"), "fingerprint"),
        (message(fingerprint=None), "fingerprint"),
        (message(status="pending"), "status"),
        (message(labels={}), "no alertname"),
        (message(labels={"alertname": 1}), "no label"),
        (message(labels={"alertname": "x", "a-b": "x"}), "no label"),
        (message(labels={f"l{n}": "x" for n in range(65)}), "more than 64"),
        (message(annotations=[1]), "annotations is not an object"),
        (message(startsAt="yesterday"), "startsAt is no time"),
        (message(startsAt="2026-01-01T12:00:00"), "startsAt is no time"),
        (message(startsAt=5), "startsAt is no time"),
        (message(startsAt="0001-01-01T00:00:00+23:00"), "startsAt is no time"),
        (message(status="resolved", endsAt=""), "endsAt is no time"),
    ],
)
def test_anything_else_is_told_in_a_line(body: bytes, problem: str) -> None:
    with pytest.raises(Malformed, match=problem) as told:
        read_message(body)
    assert "\n" not in str(told.value)


def test_values_are_cut_and_made_harmless() -> None:
    (found,) = read_message(
        message(labels={"alertname": "x", "long": "y" * 5000, "odd": "a\x1b[31m\u2028\ud800b"})
    )
    assert len(found.labels["long"]) == LONGEST_VALUE
    assert found.labels["odd"].isprintable()
    found.labels["odd"].encode()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=8), below, max_size=3),
    max_leaves=6,
)


@settings(max_examples=40)
@given(st.sampled_from(["alerts", "version", *ALERT]), JSON)
def test_no_value_anywhere_raises_anything_else(field: str, value: Any) -> None:
    document = (
        {**MESSAGE, field: value} if field in MESSAGE else {**MESSAGE, "alerts": [{**ALERT, field: value}]}
    )
    try:
        read_message(json.dumps(document).encode())
    except Malformed:
        return
