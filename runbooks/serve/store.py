"""Where incidents are kept: SQLite on one machine, PostgreSQL for a team. What is in it survives a crash.

What is to be said of an incident in the journal is written in the same transaction as the change it tells of, and taken
out when it is in the journal: an outbox.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from runbooks.engine.database import Database, Rows
from runbooks.serve.incidents import Incident, IncidentState, incident_id, informs_only
from runbooks.serve.notice import Notice
from vitalops import conventions as c
from vitalops.evidence.record import Record, RecordKind

ACTOR: Final = "alertmanager"
_SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS vitalops_incidents (id TEXT PRIMARY KEY, key TEXT NOT NULL UNIQUE, pair TEXT NOT NULL,"
    " labels TEXT NOT NULL, summary TEXT NOT NULL, started DOUBLE PRECISION NOT NULL,"
    " received DOUBLE PRECISION NOT NULL, resolved DOUBLE PRECISION NOT NULL, state TEXT NOT NULL,"
    " runbook TEXT NOT NULL, run TEXT NOT NULL, detail TEXT NOT NULL, notices INTEGER NOT NULL,"
    " due DOUBLE PRECISION NOT NULL)",
    "CREATE INDEX IF NOT EXISTS vitalops_incidents_state ON vitalops_incidents (state, due)",
    "CREATE INDEX IF NOT EXISTS vitalops_incidents_received ON vitalops_incidents (received)",
    "CREATE TABLE IF NOT EXISTS vitalops_outbox (number BIGINT PRIMARY KEY, operation TEXT NOT NULL,"
    " event TEXT NOT NULL, body TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS vitalops_heard (place TEXT PRIMARY KEY, moment DOUBLE PRECISION NOT NULL)",
)
_COLUMNS: Final = (
    "id, key, pair, labels, summary, started, received, resolved, state, runbook, run, detail, notices"
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was done about an incident."""

    incident: Incident
    state: IncidentState
    runbook: str = ""
    run: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Unsaid:
    """A record that is not in the journal yet. `event` is unique within its operation."""

    number: int
    event: str
    record: Record


class IncidentStore:
    """Every method is one transaction. They raise VitalopsError where the database cannot be used."""

    def __init__(self, database: Database) -> None:
        self._database = database
        with database.transaction() as rows:
            for statement in _SCHEMA:
                rows.execute(statement)

    def take(self, notices: Iterable[tuple[str, Notice]], now: float) -> int:
        """Keep what was told, each with the pair that told it; returns how many incidents are new.

        It is on disk when this returns.
        """
        with self._database.transaction() as rows:
            said: list[tuple[str, Record]] = []
            new = sum(_take(rows, pair, notice, now, said) for pair, notice in notices)
            _say(rows, said)
        return new

    def to_act_on(self, limit: int, now: float) -> list[Incident]:
        """Those that nothing was done about and that are not put off, oldest first."""
        return self._select(
            "WHERE state = ? AND due <= ? ORDER BY due, id LIMIT ?", IncidentState.RECEIVED.value, now, limit
        )

    def acted(self, outcomes: Iterable[Outcome]) -> None:
        """Keep what was done. Of an incident that something was done about already, nothing changes."""
        with self._database.transaction() as rows:
            said: list[tuple[str, Record]] = []
            for each in outcomes:
                there = rows.execute("SELECT state FROM vitalops_incidents WHERE id = ?", (each.incident.id,))
                if not there or there[0][0] != IncidentState.RECEIVED:
                    continue
                rows.execute(
                    "UPDATE vitalops_incidents SET state = ?, runbook = ?, run = ?, detail = ? WHERE id = ?",
                    (each.state.value, each.runbook, each.run, each.detail, each.incident.id),
                )
                said.append(("acted", _acted_record(each)))
            _say(rows, said)

    def put_off(self, incident: str, until: float, detail: str) -> None:
        """Let it wait, and say on its page for what."""
        with self._database.transaction() as rows:
            rows.execute(
                "UPDATE vitalops_incidents SET detail = ?, due = ? WHERE id = ? AND state = ?",
                (detail, until, incident, IncidentState.RECEIVED.value),
            )

    def incident(self, incident: str) -> Incident | None:
        found = self._select("WHERE id = ?", incident)
        return found[0] if found else None

    def latest(self, limit: int, *, open_only: bool = False) -> list[Incident]:
        where = "WHERE resolved = 0 " if open_only else ""
        return self._select(f"{where}ORDER BY received DESC, id LIMIT ?", limit)

    def counts(self) -> Mapping[str, int]:
        """Open incidents by state."""
        with self._database.transaction() as rows:
            found = rows.execute(
                "SELECT state, COUNT(*) FROM vitalops_incidents WHERE resolved = 0 GROUP BY state"
            )
        return {str(state): int(count) for state, count in found}

    def heard(self) -> Mapping[str, float]:
        """When each region's Alertmanager last said that it works."""
        with self._database.transaction() as rows:
            return {
                str(place): float(at)
                for place, at in rows.execute("SELECT place, moment FROM vitalops_heard")
            }

    def unsaid(self, limit: int) -> list[Unsaid]:
        with self._database.transaction() as rows:
            found = rows.execute(
                "SELECT number, event, body FROM vitalops_outbox ORDER BY number LIMIT ?", (limit,)
            )
        return [Unsaid(int(number), event, _record(body)) for number, event, body in found]

    def said(self, numbers: Sequence[int]) -> None:
        """Forget what is in the journal now."""
        with self._database.transaction() as rows:
            for number in numbers:
                rows.execute("DELETE FROM vitalops_outbox WHERE number = ?", (number,))

    def _select(self, rest: str, *values: Any) -> list[Incident]:
        with self._database.transaction() as rows:
            found = rows.execute(f"SELECT {_COLUMNS} FROM vitalops_incidents {rest}", values)  # noqa: S608  # no value is in it
        return [_incident(row) for row in found]


def _take(rows: Rows, pair: str, notice: Notice, now: float, said: list[tuple[str, Record]]) -> int:
    if informs_only(notice):
        if notice.name == c.ALERT_WATCHDOG and notice.ended is None:
            place = notice.labels.get(c.METRIC_REGION, pair)
            rows.execute("DELETE FROM vitalops_heard WHERE place = ?", (place,))
            rows.execute("INSERT INTO vitalops_heard (place, moment) VALUES (?, ?)", (place, now))
        return 0
    ended = notice.ended.timestamp() if notice.ended is not None else 0.0
    found = rows.execute("SELECT id, resolved FROM vitalops_incidents WHERE key = ?", (notice.key,))
    if found:
        ((name, resolved),) = found
        if ended and not resolved:
            rows.execute(
                "UPDATE vitalops_incidents SET notices = notices + 1, resolved = ? WHERE id = ?",
                (ended, name),
            )
            said.append(("resolved", _resolved_record(name, pair, notice)))
        else:
            rows.execute("UPDATE vitalops_incidents SET notices = notices + 1 WHERE id = ?", (name,))
        return 0
    name = incident_id(notice.key)
    rows.execute(
        f"INSERT INTO vitalops_incidents ({_COLUMNS}, due) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, '', '', '', 1, ?)",  # noqa: S608
        (
            name,
            notice.key,
            pair,
            json.dumps(dict(notice.labels), sort_keys=True),
            notice.summary,
            notice.started.timestamp(),
            now,
            ended,
            IncidentState.RECEIVED.value,
            now,
        ),
    )
    said.append(("received", _received_record(name, pair, notice)))
    if ended:
        said.append(("resolved", _resolved_record(name, pair, notice)))
    return 1


def _received_record(name: str, pair: str, notice: Notice) -> Record:
    data = {"event": "received", "labels": dict(notice.labels), "since": notice.started.isoformat()}
    return Record(RecordKind.ALERT, name, notice.name, ACTOR, _target(pair, notice), notice.summary, data)


def _resolved_record(name: str, pair: str, notice: Notice) -> Record:
    assert notice.ended is not None
    data = {"event": "resolved", "at": notice.ended.isoformat()}
    return Record(RecordKind.INCIDENT, name, notice.name, ACTOR, _target(pair, notice), "", data)


def _acted_record(outcome: Outcome) -> Record:
    incident = outcome.incident
    data = {"event": "acted", "outcome": outcome.state.value, "runbook": outcome.runbook, "run": outcome.run}
    return Record(
        RecordKind.INCIDENT, incident.id, incident.name, ACTOR, incident.target, outcome.detail, data
    )


def _target(pair: str, notice: Notice) -> str:
    region = notice.labels.get(c.METRIC_REGION, "")
    return f"region/{region}" if region else f"pair/{pair}"


def _say(rows: Rows, said: Sequence[tuple[str, Record]]) -> None:
    if not said:
        return
    ((last,),) = rows.execute("SELECT COALESCE(MAX(number), 0) FROM vitalops_outbox")
    for number, (event, record) in enumerate(said, int(last) + 1):
        rows.execute(
            "INSERT INTO vitalops_outbox (number, operation, event, body) VALUES (?, ?, ?, ?)",
            (number, record.operation, event, json.dumps(asdict(record))),
        )


def _record(body: str) -> Record:
    document: dict[str, Any] = json.loads(body)
    values: dict[str, Any] = {**document, "kind": RecordKind(document["kind"])}
    return Record(**values)


def _incident(row: Sequence[Any]) -> Incident:
    (name, key, pair, labels, summary, started, received, resolved, state, runbook, run, detail, notices) = (
        row
    )
    return Incident(
        name,
        key,
        pair,
        json.loads(labels),
        summary,
        float(started),
        float(received),
        float(resolved),
        IncidentState(state),
        runbook,
        run,
        detail,
        int(notices),
    )
