"""The keeper of backups, with a pgBackRest that only remembers what it was told to do."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from vitalops.backup.archiver import Archiver
from vitalops.backup.commands import MISMATCH, Failed
from vitalops.backup.keeper import ASK_REPOSITORY, SEGMENT, Keeper, Settings
from vitalops.backup.metrics import exposition, samples
from vitalops.backup.repository import MISSING, Held, Repository
from vitalops.backup.requests import Inbox, Request, Result
from vitalops.backup.schedule import RETRY, Rule
from vitalops.errors import RemoteError

WAL = "000000030000000000000001"
PRIMARY = Archiver(True, 3, 1, 0, 0.0, WAL, 0, 0.0, 1 << 24)
STANDBY = replace(PRIMARY, primary=False, timeline=0)


@dataclass
class Remembering:
    """pgBackRest as a list; `fails` are errors by command."""

    now: Callable[[], float]
    did: list[str] = field(default_factory=list[str])
    fails: dict[str, Failed] = field(default_factory=dict[str, Failed])
    backups: list[Held] = field(default_factory=list[Held])
    there: bool = False

    def _do(self, command: str, more: str = "") -> None:
        self.did.append(f"{command} {more}".strip())
        if command in self.fails:
            raise self.fails[command]

    def info(self) -> Repository:
        if "info" in self.fails:
            raise self.fails["info"]
        return Repository(tuple(self.backups)) if self.there else Repository(problem=MISSING)

    def create(self) -> None:
        self._do("create")
        self.there = True

    def upgrade(self) -> None:
        self._do("upgrade")
        self.there = True

    def backup(self, kind: str, mark: str) -> None:
        self._do(f"backup {kind}", mark)
        if "backup" in self.fails:
            raise self.fails["backup"]
        self.backups.append(Held("L", kind, self.now() - 1, self.now(), 10, 5, WAL, WAL, False, mark))

    def expire(self) -> None:
        self._do("expire")


@dataclass
class Scene:
    inbox: Inbox
    seen: Archiver | None = PRIMARY
    time: float = 1000.0
    queue: int = 10 * SEGMENT

    def __post_init__(self) -> None:
        self.backrest = Remembering(lambda: self.time)
        self.keeper = Keeper(
            self.backrest,
            lambda: self.seen,
            self.inbox,
            Settings(Rule(7, 24), self.queue),
            lambda: self.time,
            start=lambda work: work(),
        )

    def steps(self, count: int = 3, seconds: float = ASK_REPOSITORY) -> list[str]:
        """What was done in so many steps."""
        before = len(self.backrest.did)
        for _ in range(count):
            self.keeper.step()
            self.time += seconds
        return self.backrest.did[before:]

    def page(self) -> str:
        return exposition(samples(self.keeper.watched, self.time))


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(Inbox(tmp_path))


def test_a_primary_gets_its_stanza_and_a_first_full_backup_and_then_rests(scene: Scene) -> None:
    assert scene.steps() == ["create", "backup full"]
    assert scene.steps(10) == []
    assert 'vitalops_backup_kept{kind="full"} 1\n' in scene.page()
    assert "vitalops_backup_repository_reachable 1\n" in scene.page()


def test_a_standby_is_left_alone(scene: Scene) -> None:
    scene.seen = STANDBY
    assert scene.steps() == []
    assert [line for line in scene.page().splitlines() if line[0] != "#"] == ["vitalops_backup_primary 0"]
    scene.seen = None
    assert scene.steps() == []


def test_after_a_promotion_a_backup_is_made_and_after_the_way_back_another(scene: Scene) -> None:
    scene.steps()
    scene.seen = STANDBY
    scene.steps()
    scene.seen = replace(PRIMARY, timeline=5)
    assert scene.steps(1) == ["create", "backup incr"]


def test_a_repository_of_an_earlier_database_is_taken_over_beside_what_it_holds(scene: Scene) -> None:
    scene.backrest.fails["create"] = Failed("stanza-create", MISMATCH, "ERROR: [028]: do not match")
    assert scene.steps(1) == ["create", "upgrade", "backup full"]


def test_a_repository_that_is_not_reached_is_asked_again_and_told(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    scene.backrest.fails["create"] = Failed("stanza-create", 49, "ERROR: [049]: unable to connect")
    assert scene.steps(6, seconds=5.0) == ["create", "create"]
    assert "vitalops_backup_repository_reachable 0\n" in scene.page()
    told = [json.loads(line)["problem"] for line in capsys.readouterr().out.splitlines()]
    assert told == ["pgbackrest stanza-create: [049]: unable to connect"]
    scene.backrest.fails.clear()
    assert scene.steps(4, seconds=5.0) == ["create", "backup full"]


def test_what_was_known_of_backups_stays_known_while_the_repository_is_away(scene: Scene) -> None:
    scene.steps()
    scene.backrest.fails["info"] = Failed("info", 49, "ERROR: [049]: unable to connect")
    assert scene.steps() == []
    assert 'vitalops_backup_kept{kind="full"} 1\n' in scene.page()
    assert "vitalops_backup_repository_reachable 0\n" in scene.page()


def test_a_backup_that_fails_is_counted_and_tried_again_later(scene: Scene) -> None:
    scene.backrest.fails["backup"] = Failed("backup", 82, "ERROR: [082]: WAL was not archived")
    assert scene.steps(3, seconds=10.0) == ["create", "backup full"]
    assert "vitalops_backup_failures_total 1\n" in scene.page()
    scene.time += RETRY
    scene.backrest.fails.clear()
    assert scene.steps(1) == ["backup full"]


def test_wal_that_was_let_go_of_is_followed_by_a_backup_once_archiving_is_back(scene: Scene) -> None:
    scene.steps()
    scene.seen = replace(PRIMARY, waiting=10, waiting_since=900.0)
    assert scene.steps(2) == []
    assert f"vitalops_archive_behind_seconds {scene.time - 900.0:.17g}\n" in scene.page()
    scene.seen = PRIMARY
    assert scene.steps(2) == ["backup incr"]


def test_a_request_is_answered_once(scene: Scene) -> None:
    scene.steps()
    scene.inbox.ask(Request("run-1", "diff"))
    assert scene.steps(3) == ["backup diff run-1"]
    assert scene.inbox.result("run-1") == Result("run-1", True, "", 0.0)
    scene.inbox.ask(Request("run-1", "diff"))
    assert scene.steps(3) == []


def test_a_request_that_failed_may_be_made_again(scene: Scene) -> None:
    scene.steps()
    scene.backrest.fails["backup"] = Failed("backup", 82, "ERROR: [082]: no")
    scene.inbox.ask(Request("run-1", "full"))
    scene.steps(2)
    failed = scene.inbox.result("run-1")
    assert failed is not None
    assert failed.problem == "pgbackrest backup: [082]: no"
    scene.backrest.fails.clear()
    scene.inbox.ask(Request("run-1", "full"))
    assert scene.steps(2) == ["backup full run-1"]


def test_a_mark_names_no_path(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path / "spool")
    inbox.ask(Request("../../x", "full"))
    assert inbox.next() == Request("../../x", "full")
    assert [path.name for path in (tmp_path / "spool/requests").iterdir()] == ["______x.json"]


def test_what_is_no_request_is_thrown_away(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path)
    (tmp_path / "requests").mkdir()
    (tmp_path / "requests/x.json").write_text("{")
    assert inbox.next() is None
    assert not list((tmp_path / "requests").iterdir())


def test_errors_of_pgbackrest_are_one_line_without_its_clock() -> None:
    said = (
        "2026-11-23 00:00:00.1 P00   WARN: x\n2026-11-23 00:00:00.1 P00  ERROR: [050]: no lock\n  HINT: y\n"
    )
    error = Failed("backup", 50, said)
    assert isinstance(error, RemoteError)
    assert str(error) == "pgbackrest backup: [050]: no lock"
