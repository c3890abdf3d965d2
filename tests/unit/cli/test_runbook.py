"""`vitalops runbook`, on an engine and a platform in memory."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from cli import runbook_run
from cli.commands import runbook as commands
from cli.main import run
from runbooks import registry
from runbooks.engine.engine import Engine
from runbooks.engine.model import Parameters, Risk, Runbook
from runbooks.engine.testing import Kept, engine
from tests.unit.runbooks.engine.trial import World, trial
from vitalops.errors import GateFailed, UsageError
from vitalops.evidence.files import FileJournal
from vitalops.evidence.record import Record, RecordKind
from vitalops.model.loader import load_platform
from vitalops.ports.fakes import FakeRunning

TRIAL = ["runbook", "run", "trial"]


class Many(Parameters):
    names: tuple[str, ...] = ()
    """Which."""
    loud: bool = False
    """Whether."""
    much: float
    """How much."""


class Desk:
    """What the commands find: runbooks, and one engine after another on what is kept."""

    def __init__(self, root: Path, state: Path) -> None:
        self.world = World()
        self.state = state
        self.running = FakeRunning(load_platform(root / "platform.yaml", date(2026, 11, 22)))
        self.kept = Kept()
        self.books: dict[str, Runbook[Any]] = {
            "trial": trial(self.world),
            "grave": trial(self.world, name="grave", risk=Risk.DISRUPTS),
            "looking": trial(self.world, name="looking", risk=Risk.READS),
        }

    def engine(self) -> Engine:
        return engine(self.running, self.kept, runbooks=self.books)

    def runbook(self, name: str) -> Runbook[Any]:
        if name not in self.books:
            raise UsageError(f"there is no runbook {name!r}", hint="see: vitalops runbook list")
        return self.books[name]

    @property
    def journal(self) -> FileJournal:
        return FileJournal(self.state / "operations" / "vitalops" / "journal.jsonl")


@pytest.fixture
def desk(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    made = Desk(root, tmp_path)
    monkeypatch.chdir(root)
    monkeypatch.setenv("VITALOPS_STATE", str(tmp_path))
    monkeypatch.setenv("VITALOPS_ACTOR", "ada")
    monkeypatch.setattr(registry, "names", lambda: tuple(made.books))
    monkeypatch.setattr(registry, "runbook", made.runbook)
    monkeypatch.setattr(registry, "runbooks", lambda: tuple(made.books.values()))
    monkeypatch.setattr(runbook_run, "open_engine", made.engine)
    monkeypatch.setattr(commands, "open_engine", made.engine)
    return made


def out(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out


def test_a_dry_run_shows_the_plan_and_does_nothing(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*TRIAL, "--dry-run"]) == 0
    shown = out(capsys)
    assert "targets  region/fr-par" in shown
    assert "one.1: absent -> present" in shown
    assert not desk.world.effects


def test_a_plan_is_data_too(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*TRIAL, "--dry-run", "--region", "ch-gva", "--output", "json"]) == 0
    plan = json.loads(out(capsys))
    assert plan["targets"] == ["region/ch-gva"]
    assert [step["due"] for step in plan["steps"]] == ["due", "due", "due"]
    assert plan["risk"] == "changes"


def test_nobody_to_ask_is_no_yes(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(TRIAL) == 2
    assert "nobody to ask: Run trial on region/fr-par?" in capsys.readouterr().err
    assert not desk.world.effects


def test_a_run_is_told_with_its_outputs(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--yes", *TRIAL, "--reason", "a test", "--output", "json"]) == 0
    told = json.loads(out(capsys))
    assert (told["state"], told["requester"], told["reason"]) == ("succeeded", "ada", "a test")
    assert run(["runbook", "history"]) == 0
    assert "trial-" in out(capsys)
    assert run(["--yes", *TRIAL]) == 0
    assert "nothing is to be done" in out(capsys)


def test_a_failure_is_a_finding(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    def raises() -> None:
        raise GateFailed("it is not well")

    desk.world.failing["two"] = raises
    assert run(["--yes", *TRIAL]) == 1
    assert "failed-undone" in (shown := out(capsys))
    assert "two: it is not well" in shown


def test_what_reads_asks_nobody(desk: Desk) -> None:
    assert run(["runbook", "run", "looking"]) == 0


def test_what_disrupts_waits_and_says_for_what(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--yes", "runbook", "run", "grave", "--output", "json"]) == 0
    name = json.loads(out(capsys))["id"]
    assert run(["runbook", "approve", name]) == 2
    assert "somebody else must approve it" in capsys.readouterr().err
    assert run(["runbook", "resume", name]) == 2
    assert f"vitalops runbook approve {name}" in capsys.readouterr().err
    assert run(["runbook", "approve", name, "--as", "grace"]) == 0
    assert "succeeded" in out(capsys)
    assert run(["runbook", "approve", name, "--as", "grace"]) == 2
    assert "does not wait for approval" in capsys.readouterr().err


def test_approving_only_leaves_it_to_be_resumed(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--yes", "runbook", "run", "grave", "--output", "json"]) == 0
    name = json.loads(out(capsys))["id"]
    assert run(["runbook", "approve", name, "--as", "grace", "--only"]) == 0
    assert f"vitalops runbook resume {name}" in out(capsys)
    assert not desk.world.effects
    assert run(["runbook", "resume"]) == 0
    assert desk.world.effects
    assert run(["runbook", "resume"]) == 2
    assert "there is no run to resume" in capsys.readouterr().err


def test_rejecting_needs_a_reason(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--yes", "runbook", "run", "grave", "--output", "json"]) == 0
    name = json.loads(out(capsys))["id"]
    assert run(["runbook", "reject", name]) == 2
    assert run(["runbook", "reject", name, "--reason", "not now", "--as", "grace"]) == 0
    assert "rejected: not now" in out(capsys)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nothing"], "there is no runbook 'nothing'"),
        (["trial", "--nothing", "1"], "no such option: --nothing"),
        (["trial", "--size", "much"], "--size: input should be a valid integer"),
        (["many"], "missing option '--much'"),
        (["many", "--much", "x"], "--much: input should be a valid number"),
    ],
)
def test_what_is_typed_wrongly_is_told_in_one_line(
    desk: Desk, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    desk.books["many"] = replace(desk.books["trial"], name="many", parameters=Many)
    assert run(["--yes", "runbook", "run", *arguments]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert len(error.splitlines()) == 1


def test_every_kind_of_parameter_can_be_typed(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.books["many"] = replace(
        desk.books["trial"], name="many", parameters=Many, targets=lambda *_: (), regions=lambda *_: ()
    )
    typed = ["--names", "a", "--names", "b", "--loud", "--much", "1.5"]
    assert run(["runbook", "run", "many", *typed, "--dry-run", "--output", "json"]) == 0
    assert json.loads(out(capsys))["parameters"] == {"names": ["a", "b"], "loud": True, "much": 1.5}
    assert run(["runbook", "run", "many", "--help"]) == 0
    assert "How much." in out(capsys)


def test_a_runbook_that_nobody_proved_is_a_finding(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["runbook", "list", "--check"]) == 1
    captured = capsys.readouterr()
    assert captured.out.count("STALE never") == 3
    assert "3 runbooks are not proven within 90 days" in captured.err
    assert run(["runbook", "list"]) == 0
    capsys.readouterr()
    assert run(["--yes", *TRIAL, "--output", "json"]) == 0
    name = json.loads(out(capsys))["id"]
    assert run(["runbook", "rehearsed", "trial", "--seconds", "12.5", "--operation", name]) == 0
    capsys.readouterr()
    assert run(["runbook", "list", "--output", "json"]) == 0
    listed = {each["name"]: each for each in json.loads(out(capsys))}
    assert (listed["trial"]["repair_seconds"], listed["trial"]["stale"]) == (12.5, False)
    assert (listed["trial"]["proven_by"], listed["grave"]["stale"]) == (name, True)


@pytest.mark.parametrize(
    ("named", "seconds", "said"),
    [("grave", "1", "is one of trial, not of grave"), ("trial", "-1", "is no time to repair")],
)
def test_what_proves_nothing_is_not_recorded(
    desk: Desk, capsys: pytest.CaptureFixture[str], named: str, seconds: str, said: str
) -> None:
    assert run(["--yes", *TRIAL, "--output", "json"]) == 0
    name = json.loads(out(capsys))["id"]
    assert run(["runbook", "rehearsed", named, f"--seconds={seconds}", "--operation", name]) == 2
    assert said in capsys.readouterr().err
    assert not list(desk.journal.entries())


def test_an_old_proof_is_stale(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.running.clock.current = datetime(2020, 1, 1, tzinfo=UTC)
    journal = FileJournal(desk.journal.path, clock=desk.running.clock)
    journal.append(Record(RecordKind.REHEARSED, "trial-1", "trial", "ada", data={"seconds": 1.0}))
    assert run(["runbook", "list", "--output", "json"]) == 0
    (first, *_) = json.loads(out(capsys))
    assert (first["proven"][:10], first["stale"]) == ("2020-01-01", True)


def test_show_has_steps_and_last_runs(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["runbook", "show", "trial"]) == 0
    shown = out(capsys)
    assert "| 1 | `one` | make one | 5 s | undone |" in shown
    assert shown.endswith("no runs\n")
    assert run(["runbook", "show", "trial", "--output", "json"]) == 0
    assert json.loads(out(capsys))["steps"][0]["name"] == "one"


def test_docs_are_written_and_checked(desk: Desk, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "pages"
    assert run(["runbook", "docs", "--out", str(folder), "--check"]) == 1
    assert not folder.exists()
    assert run(["runbook", "docs", "--out", str(folder)]) == 0
    assert {file.name for file in folder.iterdir()} == {"README.md", "trial.md", "grave.md", "looking.md"}
    assert run(["runbook", "docs", "--out", str(folder), "--check"]) == 0
    del desk.books["grave"]
    assert run(["runbook", "docs", "--out", str(folder)]) == 0
    assert not (folder / "grave.md").exists()
    assert "grave.md: written" not in out(capsys).splitlines()[-1:]


def test_listing_starts_no_durable_execution(root: Path, tmp_path: Path) -> None:
    script = (
        "import sys; from cli.main import run; run(['runbook', 'list']); run(['runbook', 'history']);"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=root,
        env={"PATH": "/usr/bin:/bin", "VITALOPS_STATE": str(tmp_path), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "runbooks" in loaded
    assert loaded.isdisjoint({"dbos", "sqlalchemy", "psycopg", "starlette", "pulumi", "livekit"})
