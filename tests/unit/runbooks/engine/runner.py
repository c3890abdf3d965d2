"""Processes that carry out a run and are killed with -9 at the moments of a test's choice.

Called as `python -m tests.unit.runbooks.engine.runner FOLDER well|fails MOMENT...`, where MOMENT is a number, `all`, or
a boundary such as `after-apply:one`. For each moment, a process begins the run and kills itself there with SIGKILL, so
that nothing of it is cleaned up by anybody; then a second process takes the run up. What came of it is printed as JSON.

Every moment that a process comes to is a line in `moments`; the effects of the steps are files in `world`, and each
time that one is made is a line in `effects`.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from datetime import date
from pathlib import Path

from runbooks.engine.boundaries import Boundary, Moment
from runbooks.engine.local import DATABASE_VARIABLE, open_engine
from runbooks.engine.model import Risk
from runbooks.engine.runs import RunState
from tests.unit.runbooks.engine.killing import SERVER_VARIABLE
from tests.unit.runbooks.engine.trial import TrialParameters, World, trial
from vitalops.errors import GateFailed
from vitalops.model.loader import load_platform
from vitalops.paths import Paths
from vitalops.ports.clock import SystemClock
from vitalops.ports.fakes import FakeRunning

NAMES = ("one", "two")


class FileWorld(World):
    """A world that survives processes."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder / "world"
        self.folder.mkdir(exist_ok=True)
        self.log = folder / "effects"
        self.there = {file.name for file in self.folder.iterdir()}

    def make(self, what: str) -> None:
        if not (self.folder / what).exists():
            (self.folder / what).touch()
            self.there.add(what)
            append(self.log, what)

    def forget(self) -> None:
        """After an undo: the files are what counts."""
        for file in self.folder.iterdir():
            if file.name not in self.there:
                file.unlink()


def append(file: Path, line: str) -> int:
    """Returns the number of the line."""
    with file.open("a") as out:
        out.write(f"{line}\n")
    return len(file.read_text().splitlines()) - 1


def carry_out(folder: Path, moment: int, fails: bool) -> None:
    """Dies at the moment with this number; a negative one never comes."""
    world = FileWorld(folder)

    def hook(boundary: Boundary) -> None:
        world.forget()
        if append(folder / "moments", str(boundary)) == moment:
            os.kill(os.getpid(), signal.SIGKILL)

    def not_well() -> None:
        raise GateFailed("it is not well")

    world.midway = lambda name: hook(Boundary(Moment.BEFORE_APPLY, f"the middle of {name}"))
    if fails:
        world.failing["two"] = not_well
    runbook = trial(world, NAMES, risk=Risk.CHANGES if fails else Risk.DISRUPTS)
    root = Path(__file__).resolve().parents[4]
    running = FakeRunning(load_platform(root / "platform.yaml", date(2026, 11, 22)), clock=SystemClock())  # type: ignore[arg-type]
    paths = Paths(folder / "cache", folder / "state", folder / "run")
    with open_engine(running, paths, hook=hook, find=lambda _: runbook) as engine:
        run = engine.start(runbook, TrialParameters(), requester="ada", key="once")
        if run.state is RunState.WAITING:
            run = engine.approve(run.id, actor="grace")
        if run.state in (RunState.READY, RunState.INTERRUPTED):
            run = engine.resume(run.id, actor="grace")
        engine.settle()
        world.forget()
        (folder / "ended").write_text(run.state.value)


def database_of(folder: Path) -> None:
    """Where a team's server is named, each run has a database of its own there: one begun elsewhere is not meant."""
    server = os.environ.get(SERVER_VARIABLE)
    if not server:
        return
    import psycopg

    name = f"trial_{folder.name}"
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    os.environ[DATABASE_VARIABLE] = f"{server}/{name}"


def forked(folder: Path, moment: int, fails: bool) -> int:
    """The signal that ended the process; 0 where it ended by itself and well."""
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            carry_out(folder, moment, fails)
            status = 0
        finally:
            sys.stderr.flush()
            os._exit(status)
    _, ended = os.waitpid(child, 0)
    if os.WIFSIGNALED(ended):
        return os.WTERMSIG(ended)
    assert os.WEXITSTATUS(ended) == 0, f"a process failed at moment {moment}: see above"
    return 0


def numbers(folder: Path, fails: bool, wanted: list[str]) -> list[int]:
    """The moments of an undisturbed run that are meant."""
    folder.mkdir()
    database_of(folder)
    assert forked(folder, -1, fails) == 0
    there = (folder / "moments").read_text().splitlines()
    if wanted == ["all"]:
        return list(range(len(there)))
    return [int(each) if each.isdigit() else there.index(each) for each in wanted]


def main(root: Path, fails: bool, wanted: list[str]) -> None:
    # Imported before forking, so that each process does not pay for it.
    import runbooks.engine.durable
    import runbooks.engine.postgres  # noqa: F401

    told: list[dict[str, object]] = []
    for moment in numbers(root / "undisturbed", fails, wanted):
        folder = root / str(moment)
        folder.mkdir()
        database_of(folder)
        signals = [forked(folder, moment, fails), forked(folder, -1, fails)]
        journal = folder / "state" / "operations" / "vitalops" / "journal.jsonl"
        told.append(
            {
                "boundary": (folder / "moments").read_text().splitlines()[moment],
                "signals": signals,
                "state": (folder / "ended").read_text(),
                "effects": (folder / "effects").read_text().split(),
                "there": sorted(file.name for file in (folder / "world").iterdir()),
                "journal": [json.loads(line) for line in journal.read_text().splitlines()],
            }
        )
    json.dump(told, sys.stdout)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2] == "fails", sys.argv[3:])
