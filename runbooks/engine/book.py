"""The book of runs: what was asked for, who decided, how it stands, and which targets it holds.

What happens inside a run is DBOS's to keep (`durable`); the book is what everybody else looks at. Rows change only in
serial transactions, so that of two people who decide at the same time one is refused.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from typing import Any

from runbooks.engine.database import Database, Rows
from runbooks.engine.runs import ENDED, Run, RunState
from vitalops.errors import UsageError
from vitalops.evidence.record import Record, RecordKind


@dataclass(frozen=True, slots=True)
class Held:
    """A target that another run holds."""

    target: str
    run: Run


class Page:
    """The book within one transaction."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def find(self, run: str) -> Run | None:
        found = self._rows.execute("SELECT body FROM vitalops_runs WHERE id = ?", (run,))
        return _run(found[0][0]) if found else None

    def run(self, run: str) -> Run:
        """Raises UsageError where there is none."""
        found = self.find(run)
        if found is None:
            raise UsageError(f"there is no run {run!r}", hint="see: vitalops runbook history")
        return found

    def by_key(self, key: str) -> Run | None:
        found = self._rows.execute("SELECT body FROM vitalops_runs WHERE key = ?", (key,))
        return _run(found[0][0]) if found else None

    def add(self, run: Run, *records: Record) -> None:
        self._rows.execute(
            "INSERT INTO vitalops_runs (id, key, state, runbook, created, body, given_up, unrecorded)"
            " VALUES (?, ?, ?, ?, ?, ?, '', ?)",
            (run.id, run.key or None, run.state.value, run.runbook, run.created, _body(run), _kept(records)),
        )

    def put(self, run: Run, *records: Record) -> Run:
        """Change a run; `records` are to be put into the journal after the transaction."""
        kept = [*self.unrecorded(run.id), *records]
        self._rows.execute(
            "UPDATE vitalops_runs SET state = ?, body = ?, unrecorded = ? WHERE id = ?",
            (run.state.value, _body(run), _kept(kept), run.id),
        )
        return run

    def unrecorded(self, run: str) -> list[Record]:
        found = self._rows.execute("SELECT unrecorded FROM vitalops_runs WHERE id = ?", (run,))
        return [_record(each) for each in json.loads(found[0][0] or "[]")] if found else []

    def recorded(self, run: str) -> None:
        self._rows.execute("UPDATE vitalops_runs SET unrecorded = '' WHERE id = ?", (run,))

    def with_unrecorded(self) -> list[str]:
        return [row[0] for row in self._rows.execute("SELECT id FROM vitalops_runs WHERE unrecorded <> ''")]

    def give_up(self, run: str, actor: str, reason: str) -> None:
        self._rows.execute(
            "UPDATE vitalops_runs SET given_up = ? WHERE id = ?",
            (json.dumps({"actor": actor, "reason": reason}), run),
        )

    def given_up(self, run: str) -> Mapping[str, str] | None:
        found = self._rows.execute("SELECT given_up FROM vitalops_runs WHERE id = ?", (run,))
        return json.loads(found[0][0]) if found and found[0][0] else None

    def latest(self, *, runbook: str = "", open_only: bool = False, limit: int = 100) -> list[Run]:
        where, values = ["1 = 1"], list[Any]()
        if runbook:
            where.append("runbook = ?")
            values.append(runbook)
        if open_only:
            ended = sorted(state.value for state in ENDED)
            where.append(f"state NOT IN ({', '.join('?' for _ in ended)})")
            values.extend(ended)
        sql = f"SELECT body FROM vitalops_runs WHERE {' AND '.join(where)} ORDER BY created DESC, id LIMIT ?"  # noqa: S608  # no value is in it
        return [_run(row[0]) for row in self._rows.execute(sql, (*values, limit))]

    def since(self, moment: float, runbook: str) -> list[Run]:
        sql = "SELECT body FROM vitalops_runs WHERE created >= ? AND runbook = ?"
        return [_run(row[0]) for row in self._rows.execute(sql, (moment, runbook))]

    def holders(self, targets: Sequence[str], run: str) -> list[Held]:
        """Those of `targets` that runs other than `run` hold."""
        found: list[Held] = []
        for target in targets:
            for (holder,) in self._rows.execute("SELECT run FROM vitalops_locks WHERE target = ?", (target,)):
                if holder != run:
                    found.append(Held(target, self.run(holder)))
        return found

    def acting(self) -> list[Run]:
        """Runs that hold anything."""
        found = self._rows.execute("SELECT DISTINCT run FROM vitalops_locks")
        return [self.run(row[0]) for row in found]

    def hold(self, targets: Sequence[str], run: str, now: float) -> int:
        """Take the locks of free targets, or keep those that the run has. Returns the fencing token.

        It is higher than any that was given for one of the targets before, here or, by the clock, on another machine.
        """
        held = {
            row[0] for row in self._rows.execute("SELECT target FROM vitalops_locks WHERE run = ?", (run,))
        }
        if held == set(targets) and held:
            return self._token(targets)
        token = max(self._token(targets) + 1, int(now * 1000))
        for target in targets:
            self._rows.execute("DELETE FROM vitalops_locks WHERE target = ? AND run = ?", (target, run))
            self._rows.execute("INSERT INTO vitalops_locks (target, run) VALUES (?, ?)", (target, run))
            self._rows.execute("DELETE FROM vitalops_tokens WHERE target = ?", (target,))
            self._rows.execute("INSERT INTO vitalops_tokens (target, token) VALUES (?, ?)", (target, token))
        return token

    def _token(self, targets: Sequence[str]) -> int:
        tokens = [0]
        for target in targets:
            found = self._rows.execute("SELECT token FROM vitalops_tokens WHERE target = ?", (target,))
            tokens.extend(int(row[0]) for row in found)
        return max(tokens)

    def release(self, run: str) -> None:
        self._rows.execute("DELETE FROM vitalops_locks WHERE run = ?", (run,))


class Book:
    """Safe to use from several threads and processes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @contextmanager
    def page(self) -> Generator[Page]:
        with self._database.transaction() as rows:
            yield Page(rows)

    def run(self, run: str) -> Run:
        with self.page() as page:
            return page.run(run)

    def change(self, run: str, change: Callable[[Run], Run], *records: Record) -> Run:
        with self.page() as page:
            return page.put(change(page.run(run)), *records)


def _body(run: Run) -> str:
    return json.dumps(asdict(run), sort_keys=True)


def _run(body: str) -> Run:
    document = json.loads(body)
    known = {each.name for each in fields(Run)}
    values: dict[str, Any] = {name: value for name, value in document.items() if name in known}
    for name in ("targets", "regions", "steps"):
        values[name] = tuple(values[name])
    values["state"] = RunState(values["state"])
    return Run(**values)


def _kept(records: Sequence[Record]) -> str:
    return json.dumps([asdict(record) for record in records]) if records else ""


def _record(document: Mapping[str, Any]) -> Record:
    values: dict[str, Any] = {**document, "kind": RecordKind(document["kind"])}
    return Record(**values)
