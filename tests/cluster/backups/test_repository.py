"""Where a region's WAL and backups end up: in the other region, encrypted, for as long as the rule says."""

from __future__ import annotations

import json
import time
from collections.abc import Generator
from datetime import UTC, datetime

import pytest

from tests.cluster.backups.database import Source, eventually, source_of
from tests.cluster.conftest import RunningPlatform

pytestmark = pytest.mark.rehearsal
MARKER = "PATIENT-MARKER-8d1f0c"
ARCHIVED_SECONDS = 30.0
SALTED = b"Salted__".hex()
"""How a file begins that pgBackRest has encrypted as a whole; in a bundle each block is, without this mark."""


@pytest.fixture(scope="module")
def source(running_platform: RunningPlatform) -> Source:
    found = source_of(running_platform)
    eventually(
        "a first backup",
        lambda: bool(found.state()["repository"].get("backups")),
        seconds=180.0,
        every=3.0,
    )
    return found


@pytest.fixture
def database(source: Source) -> Generator[str]:
    with source.own_database() as name:
        yield name


def repository(source: Source) -> str:
    return f"/data/{source.region}/pgbackrest"


def test_wal_arrives_in_the_other_region_and_says_nothing_there(source: Source, database: str) -> None:
    source.sql(f"CREATE TABLE note AS SELECT '{MARKER}'::text AS word", database)
    source.switch()
    # In the database's own files the marker is found: the search is one that finds.
    own = source.run("grep", "-rlaF", MARKER, "/var/lib/postgresql/data/cluster/pg_wal").stdout.split()
    segments = [path.rpartition("/")[2] for path in own]
    assert segments

    def there() -> bool:
        found = source.server("ls", "-R", f"{repository(source)}/archive").stdout
        return all(f"{segment}-" in found for segment in segments)

    eventually(f"{segments} are archived", there, ARCHIVED_SECONDS)
    assert source.server("grep", "-rlaF", MARKER, "/data", check=False).stdout == ""
    beginning = "sh -c 'head -c 8 \"$1\" | od -An -tx1' _ {}"
    beginnings = f"find {repository(source)} -type f -not -path '*/bundle/*' -exec {beginning} \\;"
    kinds = {line.replace(" ", "") for line in source.server("sh", "-c", beginnings).stdout.splitlines()}
    assert kinds == {SALTED}


def test_a_moment_is_restored_exactly(source: Source, database: str) -> None:
    source.sql("CREATE TABLE note(word text); INSERT INTO note VALUES ('before')", database)
    source.run("python3", "-m", "vitalops.backup", "make", "--kind=incr", f"--mark=test-{time.time_ns()}")
    source.sql("INSERT INTO note VALUES ('in time')", database)
    time.sleep(0.2)
    moment = float(source.sql("SELECT extract(epoch FROM clock_timestamp())"))
    time.sleep(0.2)
    source.sql("INSERT INTO note VALUES ('too late'), ('too late')", database)
    done = source.running.vitalops(
        "--yes",
        "runbook",
        "run",
        "restore-drill",
        "--pair",
        source.running.pair.name,
        "--at",
        datetime.fromtimestamp(moment, UTC).isoformat(),
        "--output",
        "json",
        seconds=400,
    )
    compare = json.loads(done.stdout)["outputs"]["compare"]
    assert compare["compared"] is False
    assert compare["held"][f"{database}.public.note"].startswith("2 rows ")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("PGBACKREST_REPO1_S3_KEY_SECRET=wrong", "SignatureDoesNotMatch"),
        ("PGBACKREST_REPO1_CIPHER_PASS=wrong", "[095]"),
        ("PGBACKREST_REPO1_STORAGE_CA_FILE=/etc/ssl/certs/ca-certificates.crt", "certificate"),
    ],
)
def test_who_has_not_the_key_gets_nothing(source: Source, wrong: str, said: str) -> None:
    asked = ("pgbackrest", f"--stanza={source.region}", "--io-timeout=3", "repo-get")
    file = f"archive/{source.region}/archive.info"
    assert "db-system-id" in source.run(*asked, file).stdout
    refused = source.run("env", wrong, *asked, file, check=False)
    assert refused.returncode != 0
    assert "db-system-id" not in refused.stdout
    assert said in refused.stderr + refused.stdout


def test_what_the_rule_does_not_keep_is_let_go_of(source: Source) -> None:
    keep = source.running.platform.backups.keep_full

    def fulls() -> list[str]:
        backups = source.state()["repository"]["backups"]
        return [backup["label"] for backup in backups if backup["kind"] == "full"]

    before = fulls()
    for _ in range(keep + 1 - len(before)):
        mark = f"test-{time.time_ns()}"
        source.run("python3", "-m", "vitalops.backup", "make", "--kind=full", f"--mark={mark}")
    after = fulls()
    assert len(after) == keep
    assert before[0] not in after
    left = source.server("ls", f"{repository(source)}/backup/{source.region}").stdout.split()
    assert before[0] not in left
    # The WAL that only they needed went with them.
    oldest = source.state()["repository"]["oldest"]
    first = min(backup["first_wal"] for backup in source.state()["repository"]["backups"])
    assert oldest == first
