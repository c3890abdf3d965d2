"""`python3 -m vitalops.backup COMMAND`, in PostgreSQL's pod: `run` keeps the backups, the others are for operations.

Answers are one JSON document on standard output. Exit status 0: done; 2: wrong call; 3: it did not work.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from vitalops.backup import variables as v
from vitalops.backup.commands import Process
from vitalops.backup.keeper import Keeper, Settings, say
from vitalops.backup.metrics import exposition, samples, serve
from vitalops.backup.requests import Inbox, Request, Result
from vitalops.backup.schedule import Kind, Rule
from vitalops.conventions import BACKUP_METRICS_PORT
from vitalops.errors import RemoteError, VitalopsError

EVERY = 3.0
"""Seconds between steps of the keeper."""


def _process() -> Process:
    return Process(os.environ[v.STANZA], v.CONFIG_FILE)


def run() -> None:
    """Until SIGTERM. A backup that is being made then is ended by pgBackRest itself, and begun anew later."""
    from vitalops.backup.archiver import observe

    settings = Settings(
        Rule(float(os.environ[v.FULL_DAYS]), float(os.environ[v.INCREMENTAL_HOURS])), int(os.environ[v.QUEUE])
    )
    keeper = Keeper(_process(), observe, Inbox(Path(v.SPOOL)), settings, time.time)
    serve(BACKUP_METRICS_PORT, lambda: exposition(samples(keeper.watched, time.time())))
    stop = threading.Event()

    def end(number: int, frame: object) -> None:
        del number, frame
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    while not stop.wait(EVERY):
        try:
            keeper.step()
        except Exception as error:  # the pod must not go down with its backups
            say("unexpected", problem=type(error).__name__)


def archiver() -> dict[str, Any] | None:
    """What PostgreSQL says of archiving; None where it does not answer. The repository is not asked."""
    from vitalops.backup.archiver import observe

    found = observe()
    return dataclasses.asdict(found) if found else None


def state() -> dict[str, Any]:
    """The repository and the archiver, as they are now."""
    found: dict[str, Any] = {"archiver": archiver()}
    try:
        found["repository"] = dataclasses.asdict(_process().info())
    except RemoteError as error:
        found["repository"] = {"problem": error.message}
    return found


def make(kind: str, mark: str, seconds: float) -> dict[str, Any]:
    """Ask for a backup and wait for it; asking again with the same mark waits for the same one."""
    inbox = Inbox(Path(v.SPOOL))
    inbox.ask(Request(mark, kind))
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        result: Result | None = inbox.result(mark)
        if result is not None:
            return dataclasses.asdict(result)
        time.sleep(0.2)
    raise RemoteError(f"the backup has not ended within {seconds:g} s", hint="it goes on")


def point(name: str, seconds: float) -> dict[str, Any]:
    """A restore point, once the WAL behind it is in the repository."""
    from vitalops.backup.archiver import observe
    from vitalops.backup.fingerprints import take

    deadline = time.monotonic() + seconds
    taken = take(name)
    while time.monotonic() < deadline:
        archiver = observe()
        # Of the same timeline, segments' names sort as they follow one another.
        if archiver and archiver.last_wal[:24] >= taken.segment:
            return dataclasses.asdict(taken)
        time.sleep(0.2)
    raise RemoteError(f"the WAL behind restore point {name} is not archived after {seconds:g} s")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="vitalops.backup", description="Backups beside PostgreSQL")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("run")
    commands.add_parser("state")
    commands.add_parser("archiver")
    commands.add_parser("expire")
    commands.add_parser("restore")
    commands.add_parser("fingerprints")
    marked = commands.add_parser("point")
    marked.add_argument("--name", required=True)
    marked.add_argument("--seconds", type=float, default=120.0)
    asked = commands.add_parser("make")
    asked.add_argument("--kind", choices=[kind.value for kind in Kind], required=True)
    asked.add_argument("--mark", required=True)
    asked.add_argument("--seconds", type=float, default=600.0)
    given = parser.parse_args(arguments)
    try:
        match given.command:
            case "run":
                run()
            case "state":
                print(json.dumps(state()))
            case "archiver":
                print(json.dumps(archiver()))
            case "expire":
                _process().expire()
                print("{}")
            case "restore":
                from vitalops.backup.scratch import restore

                restore(Path(v.SPOOL), os.environ[v.STANZA], os.environ)
            case "point":
                print(json.dumps(point(given.name, given.seconds)))
            case "fingerprints":
                from vitalops.backup.fingerprints import everything

                print(json.dumps(everything()))
            case _:
                print(json.dumps(make(given.kind, given.mark, given.seconds)))
    except VitalopsError as error:
        print(f"backup: {error}", file=sys.stderr)
        return 3
    except Exception as error:
        if not type(error).__module__.startswith("psycopg"):
            raise
        # What PostgreSQL says may quote what it was asked for: its code says enough.
        code = getattr(error, "sqlstate", None) or "no connection"
        print(f"backup: the database refused: {type(error).__name__} ({code})", file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
