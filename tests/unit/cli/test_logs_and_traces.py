"""`vitalops logs` and `vitalops traces` over the in-memory sources."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cli import backends, context
from cli.commands import logs as logs_command
from cli.log_text import one_line, printable
from cli.main import run
from cli.trace_text import bar
from vitalops.errors import ExitCode, RemoteError
from vitalops.observe.logs import FakeLogs, LogLine, LogQuery, nanoseconds
from vitalops.observe.spans import Span, Trace
from vitalops.observe.traces import FakeTraces
from vitalops.ports.clock import FakeClock

ID = "eca01886ff944cbba40b9eed27470261"
GONE = RemoteError(
    "region fr-gra: the store of logs is not reached (refused)", hint="see `vitalops status fr-gra`"
)


def line(ago: float, text: str = "x", **more: Any) -> LogLine:
    time = datetime.now(UTC) - timedelta(seconds=ago)
    given = {"region": "fr-par", "service": "records", "pod": "p", "level": "info", "fields": {}, **more}
    return LogLine(time=time, text=text, nanoseconds=nanoseconds(time), **given)


def trace(ago: float = 10, **more: Any) -> Trace:
    start = datetime.now(UTC) - timedelta(seconds=ago)
    ms = timedelta(milliseconds=1)
    spans = (
        Span("a", "", "gateway", "gateway", start, 100 * ms),
        Span("b", "a", "records", "GET /fhir/{kind}", start + 10 * ms, 80 * ms, **more),
        Span(
            "c",
            "b",
            "records",
            "SELECT postgresql",
            start + 50 * ms,
            ms,
            tags={"db.query.text": "SELECT\n  1"},
        ),
    )
    return Trace(ID, "fr-par", spans)


@pytest.fixture(autouse=True)
def _in_the_project(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.delenv(context.PLATFORM_VARIABLE, raising=False)


@pytest.fixture
def regions(monkeypatch: pytest.MonkeyPatch) -> dict[str, FakeLogs]:
    fakes = {name: FakeLogs(name) for name in ("fr-par", "fr-gra")}

    def sources(_: Any, names: tuple[str, ...]) -> Mapping[str, Callable[[], FakeLogs]]:
        return {name: lambda name=name: fakes[name] for name in names}

    monkeypatch.setattr(backends, "log_sources", sources)
    return fakes


@pytest.fixture
def stores(monkeypatch: pytest.MonkeyPatch) -> dict[str, FakeTraces]:
    fakes = {name: FakeTraces(name) for name in ("fr-par", "fr-gra")}

    def sources(_: Any, names: tuple[str, ...]) -> Mapping[str, Callable[[], FakeTraces]]:
        return {name: lambda name=name: fakes[name] for name in names}

    monkeypatch.setattr(backends, "trace_sources", sources)
    return fakes


def test_lines_of_both_regions_are_merged_by_time(
    regions: dict[str, FakeLogs], capsys: pytest.CaptureFixture[str]
) -> None:
    regions["fr-par"].lines = [line(30, "first"), line(10, "third")]
    regions["fr-gra"].lines = [line(20, "second", region="fr-gra"), line(3600, "old", region="fr-gra")]
    assert run(["logs"]) == ExitCode.PASS
    told = capsys.readouterr().out.splitlines()
    assert [each.split()[-1] for each in told] == ["first", "second", "third"]
    assert [each.split()[1] for each in told] == ["fr-par", "fr-gra", "fr-par"]


def test_a_trace_is_found_however_old_it_is(
    regions: dict[str, FakeLogs], capsys: pytest.CaptureFixture[str]
) -> None:
    regions["fr-par"].lines = [line(86400, "of the trace", fields={"trace_id": ID}), line(5, "another")]
    assert run(["logs", "--trace", ID]) == ExitCode.PASS
    assert "of the trace" in capsys.readouterr().out
    assert run(["logs", "--trace", ID, "--since", "5m"]) == ExitCode.PASS
    assert capsys.readouterr().out == ""


def test_json_holds_everything(regions: dict[str, FakeLogs], capsys: pytest.CaptureFixture[str]) -> None:
    regions["fr-par"].lines = [line(9, '{"event": "request", "ms": 5}', fields={"event": "request", "ms": 5})]
    assert run(["logs", "--output", "json"]) == ExitCode.PASS
    told = json.loads(capsys.readouterr().out)
    assert told["unreachable"] == {}
    assert told["more"] is False
    (only,) = told["lines"]
    assert (only["service"], only["fields"]["ms"]) == ("records", 5)


def test_the_newest_are_shown_and_the_rest_is_said(
    regions: dict[str, FakeLogs], capsys: pytest.CaptureFixture[str]
) -> None:
    regions["fr-par"].lines = [line(30, "a"), line(20, "b"), line(10, "c")]
    assert run(["logs", "--limit", "2"]) == ExitCode.PASS
    told = capsys.readouterr()
    assert [each.split()[-1] for each in told.out.splitlines()] == ["b", "c"]
    assert "the newest 2 of more" in told.err


def test_a_region_that_does_not_answer_is_said_and_the_other_is_shown(
    regions: dict[str, FakeLogs], capsys: pytest.CaptureFixture[str]
) -> None:
    regions["fr-par"].lines = [line(5, "here")]
    regions["fr-gra"].fails_with = GONE
    assert run(["logs"]) == ExitCode.REMOTE
    told = capsys.readouterr()
    assert "here" in told.out
    assert "error: region fr-gra: the store of logs is not reached" in told.err
    regions["fr-par"].fails_with = GONE
    assert run(["logs"]) == ExitCode.REMOTE
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["logs", "--trace", "xyz"], "'xyz' is no trace id"),
        (["logs", "--since", "soon"], "--since 'soon' is no span of time"),
        (["logs", "--region", "nowhere"], "unknown region or pair 'nowhere'"),
        (["logs", "recrods"], "did you mean 'records'?"),
        (["logs", "--limit", "0"], "--limit"),
        (["logs", "--level", "grave"], "--level"),
        (["traces", "xyz"], "'xyz' is no trace id"),
        (["traces", "--slow", "very"], "--slow 'very' is no span of time"),
        (["traces", "--service", "recrods"], "did you mean 'records'?"),
        (["traces", ID], f"no trace {ID} in fr-par, fr-gra"),
    ],
)
def test_bad_input_is_one_line(
    arguments: list[str],
    message: str,
    regions: dict[str, FakeLogs],
    stores: dict[str, FakeTraces],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(arguments) == ExitCode.USAGE
    told = capsys.readouterr()
    assert told.out == ""
    assert message in told.err
    assert len(told.err.splitlines()) == 1


def test_a_name_that_is_no_service_may_still_have_lines(
    regions: dict[str, FakeLogs], capsys: pytest.CaptureFixture[str]
) -> None:
    regions["fr-par"].lines = [line(5, "checkpoint", service="postgres")]
    assert run(["logs", "postgres"]) == ExitCode.PASS
    assert "checkpoint" in capsys.readouterr().out
    # It has printed something, only nothing like this: no reason to doubt the name.
    assert run(["logs", "postgres", "--grep", "nothing like this"]) == ExitCode.PASS


def test_following_prints_what_comes_and_names_a_silent_region_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock = FakeClock()
    ways = {name: FakeLogs(name) for name in ("fr-par", "fr-gra")}

    def at(seconds: float, text: str, region: str) -> LogLine:
        time = clock.current + timedelta(seconds=seconds)
        return LogLine(time, region, "records", "p", "info", text, {}, nanoseconds(time))

    ways["fr-par"].lines = [at(-5, "before", "fr-par"), at(1.5, "after", "fr-par")]
    query = LogQuery(clock.current - timedelta(minutes=1), clock.current)

    def failing() -> FakeLogs:
        ways["fr-gra"].fails_with = GONE if clock.elapsed < 2 else None
        return ways["fr-gra"]

    logs_command.tail({"fr-par": lambda: ways["fr-par"], "fr-gra": failing}, query, clock, rounds=1)
    # The fake has the future already; what is printed once is not printed again.
    told = capsys.readouterr()
    assert [each.split()[-1] for each in told.out.splitlines()] == ["before", "after"]
    assert told.err.count("fr-gra") == 2  # the message and its hint
    ways["fr-gra"].fails_with = GONE
    logs_command.tail(
        {"fr-par": lambda: ways["fr-par"], "fr-gra": lambda: ways["fr-gra"]}, query, clock, rounds=4
    )
    assert capsys.readouterr().err.count("asking again") == 1


def test_following_as_json_is_one_document_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    context.choose_output("json")
    clock = FakeClock()
    made = LogLine(clock.current, "fr-par", "records", "p", "info", "x", {}, nanoseconds(clock.current))
    query = LogQuery(clock.current - timedelta(minutes=1), clock.current)
    logs_command.tail({"fr-par": lambda: FakeLogs("fr-par", [made])}, query, clock, rounds=1)
    context.reset()
    (only,) = capsys.readouterr().out.splitlines()
    assert json.loads(only)["text"] == "x"


def test_a_line_cannot_command_the_terminal() -> None:
    told = one_line(line(0, "a\x1b[2Jb\rc\x9bd"), dated=False, trace=True)
    assert told.endswith("a\\x1b[2Jb\\x0dc\\x9bd")
    assert printable("é\t") == "é\\x09"


def test_json_lines_are_told_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    fields = {
        "service": "records",
        "event": "request",
        "status": 201,
        "route": "/a b",
        "trace_id": ID,
        "level": "info",
    }
    told = one_line(line(0, json.dumps(fields), fields=fields), dated=True, trace=True)
    assert told.endswith(f'INFO     request status=201 route="/a b" trace={ID}')
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR")
    assert "\x1b[31mERROR" in one_line(line(0, level="error"), dated=False, trace=False)


def test_traces_are_listed_newest_first(
    stores: dict[str, FakeTraces], capsys: pytest.CaptureFixture[str]
) -> None:
    stores["fr-par"].traces = [trace(60, error=True)]
    stores["fr-gra"].traces = [Trace("4b" * 16, "fr-gra", trace(5).spans)]
    assert run(["traces"]) == ExitCode.PASS
    rows = capsys.readouterr().out.splitlines()[1:]
    assert [row.split()[-1] for row in rows] == ["4b" * 16, ID]
    assert run(["traces", "--errors", "--output", "json"]) == ExitCode.PASS
    assert [each["id"] for each in json.loads(capsys.readouterr().out)["traces"]] == [ID]
    assert run(["traces", "--slow", "1s"]) == ExitCode.PASS
    assert "no such traces" in capsys.readouterr().err


def test_one_trace_is_a_tree_down_to_the_statement(
    stores: dict[str, FakeTraces], capsys: pytest.CaptureFixture[str]
) -> None:
    stores["fr-par"].traces = [trace(error=True)]
    assert run(["traces", ID]) == ExitCode.PASS
    head, gateway, records, select, empty, hint = capsys.readouterr().out.splitlines()
    assert "3 spans of 2 services, 1 failed" in head
    assert gateway.startswith("gateway: gateway ")
    assert records.startswith("  records: GET /fhir/{kind} ")
    assert records.endswith("80.0 ms  failed")
    assert select.startswith("    records: SELECT 1 ")
    assert (empty, hint) == ("", f"logs: vitalops logs --trace {ID}")


def test_a_trace_that_an_unreachable_region_may_have_is_not_said_to_be_missing(
    stores: dict[str, FakeTraces], capsys: pytest.CaptureFixture[str]
) -> None:
    stores["fr-gra"].fails_with = GONE
    assert run(["traces", ID]) == ExitCode.REMOTE
    assert "fr-gra" in capsys.readouterr().err
    stores["fr-par"].traces = [trace()]
    assert run(["traces", ID]) == ExitCode.PASS
    assert run(["traces"]) == ExitCode.REMOTE


def test_bars_stand_where_the_time_went() -> None:
    made = trace()
    root, below, short = made.spans
    assert bar(made, root, 10) == "█" * 10
    assert bar(made, below, 10) == "·████████·"
    assert bar(made, short, 10) == "·····█····"
