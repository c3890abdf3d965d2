"""A team's runs in PostgreSQL: what is killed is taken up by another process, and two never carry out the same run."""

from __future__ import annotations

import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from infra.local.toolchain.system import ensure_system
from runbooks.engine.book import Book
from runbooks.engine.postgres import PostgresClaims, PostgresDatabase
from runbooks.serve.incidents import IncidentState
from runbooks.serve.notice import Notice
from runbooks.serve.store import IncidentStore, Outcome
from tests.unit.runbooks.engine.killing import judge, kill_at
from vitalops.ports.progress import SilentProgress

pytestmark = pytest.mark.rehearsal


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """A PostgreSQL of Debian's on a port of loopback, for the time of these tests."""
    ensure_system(["pg_createcluster"], SilentProgress())
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1]
    folder = Path(tempfile.mkdtemp(prefix="vitalops-team-"))
    user = pwd.getpwnam("postgres")
    shutil.chown(folder, user.pw_uid, user.pw_gid)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    def call(*command: str) -> None:
        subprocess.run(
            [str(programs / command[0]), *command[1:]],
            user="postgres",
            group=user.pw_gid,
            extra_groups=[],
            cwd=folder,
            check=True,
            stdout=subprocess.DEVNULL,
            timeout=60,
        )

    call("initdb", "-D", str(folder / "data"), "-A", "trust", "-U", "postgres", "--no-sync")
    listens = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
    call("pg_ctl", "-D", str(folder / "data"), "-l", str(folder / "log"), "-o", listens, "-w", "start")
    try:
        yield f"postgresql://postgres@127.0.0.1:{port}"
    finally:
        call("pg_ctl", "-D", str(folder / "data"), "-m", "immediate", "-w", "stop")
        shutil.rmtree(folder)


def test_a_killed_runner_of_a_team_repeats_nothing(tmp_path: Path, server: str) -> None:
    moments = [
        "after-filing",
        "after-decision",
        "before-apply:the middle of one",
        "after-apply:two",
        "before-finish",
    ]
    told = kill_at(tmp_path, "well", *moments, server=server)
    assert [each["boundary"] for each in told] == moments
    for each in told:
        judge(each, "well")


def test_a_claim_is_one_connection_s(server: str) -> None:
    here, there = PostgresClaims(f"{server}/postgres"), PostgresClaims(f"{server}/postgres")
    mine = here.claim("run-1")
    assert mine is not None
    assert there.is_claimed("run-1")
    assert there.claim("run-1") is None
    assert mine.holds()
    mine.release()
    assert not there.is_claimed("run-1")
    theirs = there.claim("run-1")
    assert theirs is not None
    theirs.release()


def test_tokens_rise_across_machines(server: str) -> None:
    first, second = (Book(PostgresDatabase(f"{server}/postgres")) for _ in range(2))
    tokens: list[int] = []
    for number, book in enumerate((first, second, first)):
        with book.page() as page:
            tokens.append(page.hold(("pair/france",), f"run-{number}", 1000.0))
            page.release(f"run-{number}")
    assert tokens == [1_000_000, 1_000_001, 1_000_002]


def test_a_teams_incidents(server: str) -> None:
    began = datetime(2026, 1, 1, tzinfo=UTC)
    labels = {"alertname": "Counted", "region": "fr-par", "severity": "page"}
    told = [Notice(f"{number:x}", began, None, labels, "") for number in range(20)]
    one, two = (IncidentStore(PostgresDatabase(f"{server}/postgres")) for _ in range(2))
    assert one.take([("france", each) for each in told], 1.0) == 20
    assert two.take([("france", each) for each in told], 2.0) == 0
    (first, *_) = two.to_act_on(5, 3.0)
    one.acted([Outcome(first, IncidentState.STARTED, "count-it", "count-it-1")])
    two.acted([Outcome(first, IncidentState.REFUSED, "count-it")])
    found = one.incident(first.id)
    assert found is not None
    assert (found.state, found.run, found.notices) == (IncidentState.STARTED, "count-it-1", 2)
    unsaid = two.unsaid(100)
    assert [each.event for each in unsaid] == ["received"] * 20 + ["acted"]
    one.said([each.number for each in unsaid])
    assert two.unsaid(100) == []
