"""The guard as a process: `python3 -m vitalops.guard FOLDER`. One JSON line for each thing that it does."""

from __future__ import annotations

import json
import os
import signal
import ssl
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from vitalops.errors import UsageError
from vitalops.fencing.machine import WITNESS
from vitalops.guard.guard import Guard
from vitalops.guard.keeper import Keeper
from vitalops.guard.kube import InCluster
from vitalops.guard.operations import Operations
from vitalops.guard.patroni import PatroniConfig, PatroniRest
from vitalops.guard.places import Asker
from vitalops.guard.postgres import LocalPostgres
from vitalops.guard.server import local, public
from vitalops.guard.settings import GuardSettings, read_settings

TICK_SECONDS: Final = 0.5


def say(event: str, **facts: Any) -> None:
    document = {
        "ts": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "level": facts.pop("level", "info"),
        "logger": "guard",
        "event": event,
        **facts,
    }
    print(json.dumps(document), flush=True)


def watch(settings: GuardSettings) -> None:
    """Until SIGTERM or SIGINT."""
    ended, due = threading.Event(), threading.Event()

    def end(*_: Any) -> None:
        ended.set()
        due.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    maps = InCluster(settings.namespace)
    database = LocalPostgres(
        settings.socket_folder, settings.data_folder, settings.user, settings.password, settings.peer_members
    )
    guard = Guard(
        settings,
        Keeper(maps, settings.standing_name),
        PatroniConfig(maps, settings.patroni_config_name),
        database,
        say,
    )
    rest = PatroniRest(settings.patroni_port, settings.rest_user, settings.rest_password)
    context = ssl.create_default_context(cafile=settings.authority_file)
    places = [Asker(settings.peer, settings.peer_address, settings.region, context)]
    if settings.witness_address:
        places.append(Asker(WITNESS, settings.witness_address, settings.region, context))
    servers = [
        public(guard, settings.port, settings.certificate_file, settings.key_file),
        local(Operations(guard, database, rest), settings.local_port),
    ]
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    for place in places:
        arguments = (guard.heard, guard.missed, due.set, ended)
        threading.Thread(target=place.go_on, args=arguments, daemon=True).start()
    say("started", region=settings.region, pair=settings.pair, member=settings.member)
    while not ended.is_set():
        due.clear()
        guard.tick()
        due.wait(TICK_SECONDS)
    database.close()


def main(arguments: list[str]) -> int:
    try:
        (folder,) = arguments
        watch(read_settings(Path(folder), os.environ))
    except (UsageError, ValueError) as error:
        say("refused", level="error", problem=str(error))
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
