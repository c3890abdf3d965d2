"""The command line as a user types it, in this process."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from cli import context
from cli.lazy import load
from cli.main import COMMANDS, root_command, run
from vitalops.errors import ExitCode


@pytest.fixture(autouse=True)
def _in_the_project(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    monkeypatch.delenv(context.PLATFORM_VARIABLE, raising=False)
    monkeypatch.delenv(context.DEBUG_VARIABLE, raising=False)


@pytest.mark.parametrize(
    "line",
    [
        "validate --output json",
        "--output json validate",
        "validate --output=json",
        "--output text validate --output json",
    ],
)
def test_output_may_stand_before_or_after_the_command(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(shlex.split(line)) == ExitCode.PASS
    assert json.loads(capsys.readouterr().out)["platform"] == "vitalops"


@pytest.mark.parametrize("line", ["--platform {} validate", "validate --platform {}"])
def test_platform_may_stand_before_or_after_the_command(
    line: str, tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text((root / "platform.yaml").read_text().replace("name: vitalops", "name: mine", 1))
    assert run(shlex.split(line.format(mine))) == ExitCode.PASS
    assert "platform mine" in capsys.readouterr().out


@pytest.mark.parametrize("line", ["--yes validate", "validate --yes", "validate -y"])
def test_yes_may_stand_before_or_after_the_command(line: str) -> None:
    assert run(shlex.split(line)) == ExitCode.PASS
    assert context.current().yes


def test_options_of_one_call_are_forgotten_in_the_next(capsys: pytest.CaptureFixture[str]) -> None:
    run(["validate", "--output", "json", "--yes"])
    capsys.readouterr()
    run(["validate"])
    assert capsys.readouterr().out.startswith("ok ")
    assert not context.current().yes


def test_the_platform_file_is_looked_for_in_order(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    context.reset()
    assert context.current().platform_path.resolve() == root / "platform.yaml", "the bundled one"
    Path("platform.yaml").write_text("")
    assert context.current().platform_path == Path("platform.yaml")
    monkeypatch.setenv(context.PLATFORM_VARIABLE, "/from/environment.yaml")
    assert context.current().platform_path == Path("/from/environment.yaml")
    context.choose_platform(Path("/named.yaml"))
    assert context.current().platform_path == Path("/named.yaml")


def test_faults_of_the_file_are_lines_on_stderr_and_status_2(
    tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "bad.yaml"
    text = (
        (root / "platform.yaml")
        .read_text()
        .replace("port: 8443", "port: 0")
        .replace("rto_seconds: 60", "rto: 60")
    )
    bad.write_text(text)
    assert run(["validate", "--platform", str(bad)]) == ExitCode.USAGE
    told = capsys.readouterr()
    assert told.out == ""
    lines = told.err.splitlines()
    assert len(lines) == 5
    assert all(line.startswith(f"error: {bad}:") for line in lines)
    assert run(["validate", "--platform", str(bad), "--output", "json"]) == ExitCode.USAGE
    error = json.loads(capsys.readouterr().err)["error"]
    assert error["exit_code"] == 2
    assert {fault["pointer"] for fault in error["faults"]} >= {"/pairs/france/edge/port", "/pairs/france/rto"}


def test_warnings_go_to_stderr_as_text_and_into_the_data_as_json(
    tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "platform.yaml"
    extra = "  de-fra: {jurisdiction: DE, cluster: local, certifications: []}\n"
    file.write_text((root / "platform.yaml").read_text().replace("\npairs:", extra + "\npairs:", 1))
    assert run(["validate", "--platform", str(file)]) == ExitCode.PASS
    told = capsys.readouterr()
    assert told.out.startswith("ok ")
    assert told.err.startswith("warning: ")
    run(["validate", "--platform", str(file), "--output", "json"])
    told = capsys.readouterr()
    assert told.err == ""
    assert json.loads(told.out)["warnings"][0]["pointer"] == "/regions/de-fra"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("upp", "did you mean 'up'"),
        ("--colour validate", "no such option: --colour"),
        ("validate --output yaml", "--output"),
        ("validate extra", "extra"),
        ("--platform /nowhere/platform.yaml validate", "cannot read /nowhere/platform.yaml"),
    ],
)
def test_a_call_that_cannot_work_is_one_line_and_status_2(
    line: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(shlex.split(line)) == ExitCode.USAGE
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.count("\n") == 1
    assert words in told.err.lower()


def test_a_call_that_cannot_work_is_json_when_json_was_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["upp", "--output", "json"]) == ExitCode.USAGE
    assert "upp" in json.loads(capsys.readouterr().err)["error"]["message"]


def test_without_a_command_the_help_is_shown_with_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == ExitCode.USAGE
    assert "Commands:" in capsys.readouterr().err


def test_help_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == ExitCode.PASS
    text = capsys.readouterr().out
    for entry in COMMANDS:
        assert f"  {entry.name} " in text
        assert entry.summary.split(".")[0][:40] in text, "summaries are not cut short"
    assert "..." not in text.partition("Commands:")[2]
    assert run(["--version"]) == ExitCode.PASS
    assert capsys.readouterr().out.startswith("vitalops 0.")


def test_schema_prints_the_schema(capsys: pytest.CaptureFixture[str], root: Path) -> None:
    assert run(["schema"]) == ExitCode.PASS
    assert capsys.readouterr().out == (root / "docs" / "platform.schema.json").read_text()


def leaves() -> list[str]:
    """Every command, as words after `vitalops`."""
    found: list[str] = []
    for entry in COMMANDS:
        below = getattr(load(entry), "commands", None)
        found += [entry.name] if below is None else [f"{entry.name} {name}" for name in below]
    return found


def test_every_command_shows_examples_that_it_understands(capsys: pytest.CaptureFixture[str]) -> None:
    commands = leaves()
    assert len(commands) >= len(COMMANDS)
    for command in [*commands, *(entry.name for entry in COMMANDS)]:
        assert run([*command.split(), "--help"]) == ExitCode.PASS, command
        text = capsys.readouterr().out
        assert "Examples:" in text, command
        assert "--output" in text, command
        lines = [line.strip() for line in text.partition("Examples:")[2].splitlines()]
        examples = [line for line in lines if line.startswith("vitalops ")]
        assert examples, command
        for example in examples:
            understood(example)


def understood(example: str) -> None:
    """Parse an example down to its command without running it; fails on an unknown command or option."""
    typed = example.partition("|")[0].partition(">")[0].partition("  #")[0]
    words = shlex.split(typed)[1:]
    group = root_command()
    with group.make_context("vitalops", words) as invocation:
        rest = [*invocation._protected_args, *invocation.args]
        command = group
        while rest and hasattr(command, "commands"):
            name, command, rest = command.resolve_command(invocation, rest)
            with command.make_context(name, rest, parent=invocation) as inner:
                rest = [*inner._protected_args, *inner.args]
                command = inner.command
                invocation = inner
