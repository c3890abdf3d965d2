"""Log lines as Loki gives them, the questions put to it, and following."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.vitalops.observe.conftest import Recorded
from vitalops.errors import RemoteError
from vitalops.observe.logs import (
    FakeLogs,
    Follower,
    Level,
    LogLine,
    LogQuery,
    LokiLogs,
    expression,
    in_order,
    level_of,
    nanoseconds,
    newest,
)

RECORDED = Path(__file__).parent / "recorded"
SEARCH = "/loki/api/v1/query_range"
NOW = datetime(2026, 11, 22, 21, 40, tzinfo=UTC)
QUERY = LogQuery(NOW - timedelta(hours=1), NOW)
TRACE = "eca01886ff944cbba40b9eed27470261"


def line(
    seconds: float, text: str = "x", *, level: str = "info", service: str = "records", pod: str = "a"
) -> LogLine:
    time = NOW + timedelta(seconds=seconds)
    return LogLine(time, "fr-par", service, pod, level, text, {}, nanoseconds(time))


@pytest.fixture
def loki(recorded: Recorded, session: requests.Session) -> LokiLogs:
    recorded.give(SEARCH, (200, (RECORDED / "loki_lines.json").read_text()))
    return LokiLogs("fr-par", recorded.url, session)


def test_recorded_lines_are_read(loki: LokiLogs) -> None:
    found = loki.search(QUERY)
    assert list(found) == in_order(found)
    audit = next(each for each in found if each.service == "audit")
    assert audit.time == datetime(2026, 11, 22, 21, 33, 56, 505121, tzinfo=UTC)
    assert audit.nanoseconds == 1795383236505121104
    assert (audit.region, audit.level) == ("fr-par", "info")
    assert audit.pod.startswith("audit-")
    assert (audit.fields["route"], audit.fields["status"], audit.fields["ms"]) == ("/v1/events", 201, 16.3)
    assert audit.fields["trace_id"] == TRACE
    assert json.loads(audit.text)["event"] == "request"
    assert {each.service for each in found} == {"audit", "gateway", "scheduling", "postgres"}
    # Lines in words have no fields, and some say no level.
    assert all(not each.fields for each in found if each.service == "postgres")


def test_the_question_is_put_to_loki(loki: LokiLogs, recorded: Recorded) -> None:
    loki.search(replace(QUERY, trace_id=TRACE, limit=77))
    ((path, asked),) = recorded.asked
    assert path == SEARCH
    assert asked == {
        "query": f'{{region="fr-par"}} | trace_id = "{TRACE}" | drop observed_timestamp',
        "start": str(nanoseconds(QUERY.start)),
        "end": str(nanoseconds(QUERY.end)),
        "limit": "77",
        "direction": "backward",
    }


def test_services_are_listed(recorded: Recorded, session: requests.Session) -> None:
    path = "/loki/api/v1/label/service/values"
    recorded.give(path, (200, (RECORDED / "loki_services.json").read_text()), (200, '{"status": "success"}'))
    loki = LokiLogs("fr-par", recorded.url, session)
    assert {"gateway", "postgres", "records"} <= set(loki.services(QUERY.start, QUERY.end))
    assert loki.services(QUERY.start, QUERY.end) == ()


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (QUERY, '{region="r"} | drop observed_timestamp'),
        (
            replace(QUERY, services=("records",), text='say "no"\\'),
            '{region="r", service="records"} |= "say \\"no\\"\\\\" | drop observed_timestamp',
        ),
        (
            replace(QUERY, services=("a", "b"), level=Level.ERROR),
            '{region="r", service=~"a|b"} | severity_number >= 17 | drop observed_timestamp',
        ),
    ],
)
def test_expressions(query: LogQuery, expected: str) -> None:
    assert expression("r", query) == expected


@given(st.text(max_size=60))
def test_no_text_leaves_its_quotes(text: str) -> None:
    made = expression("r", replace(QUERY, text=text))
    if text:
        quoted = re.fullmatch(
            r'\{region="r"\} \|= ("(?:[^"\\\n]|\\.)*") \| drop observed_timestamp', made, re.DOTALL
        )
        assert quoted is not None
        assert json.loads(quoted[1]) == text


def test_names_are_names_and_not_patterns() -> None:
    made = expression("r", replace(QUERY, services=("a.*", "b|c")))
    assert 'service=~"a\\\\.\\\\*|b\\\\|c"' in made


@pytest.mark.parametrize(
    ("number", "name"),
    [
        (0, ""),
        (1, "debug"),
        (5, "debug"),
        (9, "info"),
        (12, "info"),
        (13, "warning"),
        (17, "error"),
        (24, "critical"),
    ],
)
def test_levels(number: int, name: str) -> None:
    assert level_of(number) == name


@pytest.mark.parametrize(
    ("status", "text", "message"),
    [
        (400, "parse error at line 1, col 9: syntax error", "refused the question: parse error at line 1"),
        (404, '{"kind": "Status", "message": "services \\"loki\\" not found"}', "is not installed"),
        (503, '{"kind": "Status", "message": "no endpoints available"}', "is not ready: no endpoints"),
        (200, "<html>", "no JSON"),
        (200, "[]", "something else than logs"),
        (
            200,
            '{"status": "success", "data": {"result": [{"stream": {}, "values": [["x", "y"]]}]}}',
            "cannot be read",
        ),
    ],
)
def test_answers_that_are_none(
    recorded: Recorded, session: requests.Session, status: int, text: str, message: str
) -> None:
    recorded.give(SEARCH, (status, text))
    with pytest.raises(RemoteError, match=message) as caught:
        LokiLogs("fr-par", recorded.url, session).search(QUERY)
    assert caught.value.message.startswith("region fr-par: ")


def test_a_silent_store_is_named(recorded: Recorded, session: requests.Session) -> None:
    recorded.fall_silent = True
    with pytest.raises(RemoteError, match="region fr-par: the store of logs is not reached"):
        LokiLogs("fr-par", recorded.url, session).search(QUERY)


def test_the_fake_answers_as_the_store_does() -> None:
    fake = FakeLogs(
        "fr-par",
        [
            line(-30, "b", level="error"),
            line(-40, "a"),
            line(-20, "c", level="", service="postgres"),
            line(5, "later"),
        ],
    )
    assert [each.text for each in fake.search(QUERY)] == ["a", "b", "c"]
    assert [each.text for each in fake.search(replace(QUERY, limit=1))] == ["c"]
    assert [each.text for each in fake.search(replace(QUERY, level=Level.WARNING))] == ["b"]
    assert [each.text for each in fake.search(replace(QUERY, services=("postgres",)))] == ["c"]
    assert fake.services(QUERY.start, QUERY.end) == ("postgres", "records")


def test_following_gives_every_line_once_however_late_it_comes() -> None:
    fake = FakeLogs("fr-par", [line(-5, "old"), line(-4000, "too old")])
    follower = Follower(fake, replace(QUERY, start=NOW - timedelta(minutes=1), end=NOW, limit=1))
    assert [each.text for each in follower.poll(NOW)] == ["old"]
    assert list(follower.poll(NOW + timedelta(seconds=1))) == []
    # One that was printed before the newest given, and one of a clock that is ahead.
    fake.lines += [line(-8, "late"), line(1, "new"), line(6, "ahead")]
    assert [each.text for each in follower.poll(NOW + timedelta(seconds=2))] == ["late", "new", "ahead"]
    assert list(follower.poll(NOW + timedelta(seconds=3))) == []


def test_following_survives_a_pause() -> None:
    fake = FakeLogs("fr-par", [line(-5, "old")])
    follower = Follower(fake, replace(QUERY, start=NOW - timedelta(minutes=1)))
    assert len(list(follower.poll(NOW))) == 1
    fake.lines.append(line(30, "while away"))
    assert [each.text for each in follower.poll(NOW + timedelta(minutes=10))] == ["while away"]


def test_the_newest_lines_are_the_last() -> None:
    lines = [line(second, str(second)) for second in range(5)]
    assert [each.text for each in newest(lines, 2)] == ["3", "4"]
    assert newest(lines, 0) == ()
