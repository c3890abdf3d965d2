"""Traces as Jaeger gives them, as trees, and the questions put to it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.vitalops.observe.conftest import Recorded
from vitalops.errors import RemoteError, UsageError
from vitalops.observe.spans import Span, Trace, parse_trace_id
from vitalops.observe.traces import FakeTraces, JaegerTraces, TraceQuery

RECORDED = Path(__file__).parent / "recorded"
ID = "eca01886ff944cbba40b9eed27470261"
NOW = datetime(2026, 11, 22, 21, 40, tzinfo=UTC)
QUERY = TraceQuery(NOW - timedelta(hours=1), NOW)
WHOLE = (RECORDED / "jaeger_trace.json").read_text()


def span(name: str, parent: str = "", *, begin: float = 0, seconds: float = 1, error: bool = False) -> Span:
    return Span(name, parent, "svc", name, NOW + timedelta(seconds=begin), timedelta(seconds=seconds), error)


@pytest.fixture
def jaeger(recorded: Recorded, session: requests.Session) -> JaegerTraces:
    recorded.give(f"/api/traces/{ID}", (200, WHOLE))
    recorded.give("/api/traces", (200, WHOLE))
    recorded.give("/api/services", (200, (RECORDED / "jaeger_services.json").read_text()))
    return JaegerTraces("fr-par", recorded.url, session)


def test_a_recorded_trace_runs_from_the_gateway_to_the_statement(jaeger: JaegerTraces) -> None:
    trace = jaeger.trace(ID)
    assert trace is not None
    assert (trace.id, trace.region, trace.name) == (ID, "fr-par", "GET /v1/appointments/{appointment_id}")
    assert trace.services == ("gateway", "scheduling", "audit")
    (root,) = trace.roots
    told = [(depth, each.service, each.name) for depth, each in root.walk()]
    assert told[:4] == [
        (0, "gateway", "gateway"),
        (1, "scheduling", "GET /v1/appointments/{appointment_id}"),
        (2, "scheduling", "SELECT postgresql"),
        (2, "scheduling", "INSERT postgresql"),
    ]
    assert told[-1] == (5, "audit", "INSERT postgresql")
    assert len(told) == len(trace.spans) == 11
    statement = next(each for _, each in root.walk() if each.name == "SELECT postgresql")
    assert statement.tags["db.query.text"].startswith("SELECT ")
    assert statement.duration == timedelta(microseconds=1263)
    assert trace.start == datetime(2026, 11, 22, 21, 33, 56, 458776, tzinfo=UTC)
    # Up to the end of the last span: what was delivered after the answer is part of it.
    assert trace.duration == timedelta(microseconds=1795383236505102 - 1795383236458776)
    assert trace.errors == 0


def test_a_trace_that_is_not_there_is_none(recorded: Recorded, session: requests.Session) -> None:
    recorded.give(f"/api/traces/{ID}", (404, (RECORDED / "jaeger_missing.json").read_text()))
    assert JaegerTraces("fr-par", recorded.url, session).trace(ID) is None


@pytest.mark.parametrize(
    ("status", "text", "message"),
    [
        (404, '{"kind": "Status", "message": "services \\"jaeger\\" not found"}', "is not installed"),
        (503, '{"kind": "Status", "message": "no endpoints available"}', "is not ready"),
        (
            400,
            '{"data": null, "errors": [{"code": 400, "msg": "unable to parse"}]}',
            "refused the question: unable",
        ),
        (200, "<html>", "something else than traces"),
        (200, '{"data": [{"traceID": "1", "spans": [{}], "processes": {}}]}', "cannot be read"),
    ],
)
def test_answers_that_are_none(
    recorded: Recorded, session: requests.Session, status: int, text: str, message: str
) -> None:
    recorded.give(f"/api/traces/{ID}", (status, text))
    with pytest.raises(RemoteError, match=message) as caught:
        JaegerTraces("fr-par", recorded.url, session).trace(ID)
    assert caught.value.message.startswith("region fr-par: ")


def test_a_silent_store_is_named(recorded: Recorded, session: requests.Session) -> None:
    recorded.fall_silent = True
    with pytest.raises(RemoteError, match="region fr-par: the store of traces is not reached"):
        JaegerTraces("fr-par", recorded.url, session).trace(ID)


def test_a_search_of_one_service(jaeger: JaegerTraces, recorded: Recorded) -> None:
    found = jaeger.search(
        TraceQuery(QUERY.start, QUERY.end, "records", timedelta(milliseconds=500), errors=True, limit=7)
    )
    assert [trace.id for trace in found] == [ID]
    ((path, asked),) = recorded.asked
    assert path == "/api/traces"
    assert asked["service"] == "records"
    assert asked["minDuration"] == "500000us"
    assert json.loads(asked["tags"]) == {"error": "true"}
    assert (asked["start"], asked["end"]) == ("1795380000000000", "1795383600000000")
    assert asked["limit"] == "7"


def test_a_search_of_all_asks_each_service_and_gives_each_trace_once(
    jaeger: JaegerTraces, recorded: Recorded
) -> None:
    assert [trace.id for trace in jaeger.search(QUERY)] == [ID]
    names = [asked["service"] for path, asked in recorded.asked if path == "/api/traces"]
    assert names == list(jaeger.services())
    assert len(names) == len(set(names)) > 3


def test_a_span_that_was_sent_twice_counts_once(recorded: Recorded, session: requests.Session) -> None:
    doubled: dict[str, Any] = json.loads(WHOLE)
    doubled["data"][0]["spans"] *= 2
    recorded.give(f"/api/traces/{ID}", (200, json.dumps(doubled)))
    trace = JaegerTraces("fr-par", recorded.url, session).trace(ID)
    assert trace is not None
    assert len(trace.spans) == 11


def test_a_span_without_its_cause_begins_a_tree_of_its_own() -> None:
    trace = Trace(ID, "fr-par", (span("b", "lost", begin=2), span("a"), span("c", "a", begin=1)))
    assert [[each.id for _, each in node.walk()] for node in trace.roots] == [["a", "c"], ["b"]]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 9)), min_size=1, max_size=8))
def test_every_span_is_shown_once_whoever_it_says_caused_it(links: list[tuple[int, int]]) -> None:
    spans = tuple(span(str(index), str(parent), begin=begin) for index, (parent, begin) in enumerate(links))
    shown = [each.id for node in Trace(ID, "fr-par", spans).roots for _, each in node.walk()]
    assert sorted(shown) == sorted(each.id for each in spans)


@pytest.mark.parametrize("text", ["", "xyz", "4b" * 15, "4b" * 17, "0" * 32, "4b" * 15 + "zz", ID + "\n; rm"])
def test_what_is_no_trace_id_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is no trace id"):
        parse_trace_id(text)


def test_a_trace_id_may_be_pasted_as_it_comes() -> None:
    assert parse_trace_id(f" {ID.upper()}\n") == ID


def test_the_fake_answers_as_the_store_does() -> None:
    slow = Trace("1" * 32, "fr-par", (span("slow", begin=-50, seconds=3),))
    bad = Trace("2" * 32, "fr-par", (span("bad", begin=-40, error=True),))
    fake = FakeTraces("fr-par", [slow, bad])
    assert fake.search(QUERY) == (bad, slow)
    assert fake.search(TraceQuery(QUERY.start, QUERY.end, at_least=timedelta(seconds=2))) == (slow,)
    assert fake.search(TraceQuery(QUERY.start, QUERY.end, errors=True)) == (bad,)
    assert fake.search(TraceQuery(QUERY.start, QUERY.end, service="other")) == ()
    assert fake.trace(bad.id) is bad
    assert fake.trace(ID) is None
    assert fake.services() == ("svc",)
