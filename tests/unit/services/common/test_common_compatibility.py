"""Whether older code can live with a schema: read from the SQL of the migrations that it lacks."""

from __future__ import annotations

import json

import pytest

from services.common.compatibility import breaking, known, lacking, main, statements
from services.common.definition import load_definition


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE resource DROP COLUMN body",
        "DROP TABLE resource",
        "ALTER TABLE resource RENAME body TO content",
        "ALTER TABLE resource ALTER COLUMN body SET NOT NULL",
        "ALTER TABLE resource ALTER COLUMN body TYPE JSONB",
        "ALTER TABLE resource ADD COLUMN kind VARCHAR(8) NOT NULL",
        "ALTER TABLE resource ADD CONSTRAINT positive CHECK (version > 0)",
        "CREATE UNIQUE INDEX one ON resource (patient)",
    ],
)
def test_what_takes_away_or_tightens_breaks(statement: str) -> None:
    assert breaking([statement]) == [statement]


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE monitor (id INTEGER NOT NULL)",
        "ALTER TABLE resource ADD COLUMN kind VARCHAR(8)",
        "ALTER TABLE outbox ADD COLUMN synthetic BOOLEAN DEFAULT false NOT NULL",
        "CREATE INDEX ix ON resource (patient)",
    ],
)
def test_what_only_adds_does_not(statement: str) -> None:
    assert breaking([statement]) == []


def test_a_table_that_is_new_to_everybody_may_be_tightened() -> None:
    made = ["CREATE TABLE fresh (id INTEGER)", "CREATE UNIQUE INDEX one ON fresh (id)"]
    assert breaking(made) == []
    assert breaking(reversed(made)) == made[1:]


def test_a_service_tells_what_an_older_release_lacks() -> None:
    records = load_definition("records")
    newest, *older = known(records)
    assert lacking(records, frozenset(older)) == {"lacks": [newest], "breaking": {}}
    assert lacking(records, frozenset(known(records))) == {"lacks": [], "breaking": {}}
    assert any("CREATE TABLE" in each for each in statements(records, older[-1]))


def test_called_as_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["records", "--known"]) == 0
    assert json.loads(capsys.readouterr().out)[-1] == "r0001"
    assert main(["records", "--without", "r0001"]) == 0
    assert "r0002" in json.loads(capsys.readouterr().out)["lacks"]
    assert main(["records"]) == 2
