"""`vitalops runbook serve`: receives alerts, answers them by runbooks, and shows both to people on call."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import context
from cli.examples import examples
from vitalops.errors import UsageError, VitalopsError

if TYPE_CHECKING:
    from runbooks.serve.people import People
    from vitalops.model.platform import Platform
    from vitalops.paths import Paths
    from vitalops.pki.authority import CertificateAuthority


@examples(
    "vitalops runbook serve",
    "vitalops runbook serve --listen 10.201.0.2:9443",
    "vitalops runbook serve --add-person anne",
    "vitalops runbook serve --revoke-person anne",
)
def serve(
    listen: Annotated[
        str, typer.Option("--listen", metavar="ADDRESS:PORT", help="Where alerts and people come in.")
    ] = "127.0.0.1:9443",
    plain_http: Annotated[
        bool, typer.Option("--plain-http", help="Without TLS; on loopback alone, as behind a proxy.")
    ] = False,
    add_person: Annotated[
        str,
        typer.Option(
            "--add-person", metavar="NAME", help="Let somebody log in, and write a new token to a file."
        ),
    ] = "",
    revoke_person: Annotated[
        str, typer.Option("--revoke-person", metavar="NAME", help="Let somebody no longer log in.")
    ] = "",
) -> None:
    """Receive Alertmanager's webhooks, run the runbooks bound to the alerts, and serve the page for people on call.

    What is acknowledged is stored: a crash loses no alert, and each incident is acted on once. Alerts come to
    /v1/alerts with the bearer token of the secret store (PAIR/alerting/webhook-token). The certificate is of the
    platform's authority.
    """
    if bool(add_person) + bool(revoke_person) > 1:
        raise UsageError("--add-person and --revoke-person are two different things", hint="give one of them")
    from vitalops.paths import Paths

    platform, paths = context.current().load_platform(), Paths.from_environment()
    if add_person or revoke_person:
        _change_people(_people(platform, paths), paths.operations(platform.name), add_person, revoke_person)
        return
    _serve(platform, paths, listen, plain_http)


def _serve(platform: Platform, paths: Paths, listen: str, plain_http: bool) -> None:
    from cli.setting import setting_of
    from infra.operations.running import OperatedPlatform
    from runbooks import registry
    from runbooks.engine.database import SqliteDatabase
    from runbooks.engine.local import database_url, open_engine
    from runbooks.engine.postgres import PostgresDatabase
    from runbooks.serve.server import DATABASE, Listen, Surroundings, webhook_tokens
    from runbooks.serve.server import serve as run
    from runbooks.serve.store import IncidentStore
    from vitalops.evidence.files import FileJournal
    from vitalops.model.selection import resolve_regions

    where = Listen.parse(listen)
    if plain_http and not where.is_loopback:
        raise UsageError(
            f"--plain-http on {where.host} would show tokens to the network", hint="loopback only"
        )
    running = OperatedPlatform(setting_of(platform, paths, resolve_regions(platform, ())))
    secrets, folder = running.secrets, paths.operations(platform.name)
    if not webhook_tokens(secrets, platform):
        raise UsageError("the platform has no webhook token yet", hint="run: vitalops up")
    authority = None if plain_http else _authority(platform, paths)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    url = database_url()
    database = PostgresDatabase(url) if url else SqliteDatabase(folder / DATABASE)
    with open_engine(running, paths) as engine:
        around = Surroundings(
            platform,
            folder,
            IncidentStore(database),
            engine,
            registry.runbooks(),
            FileJournal(paths.journal(platform.name), clock=running.clock, secrets=secrets),
            secrets,
            running.clock,
        )
        run(around, where, authority, lambda at: _ready(at, _people(platform, paths)), _complain)


def _authority(platform: Platform, paths: Paths) -> CertificateAuthority:
    import json

    from vitalops.consultation.access import AUTHORITY_SECRET
    from vitalops.pki.authority import CertificateAuthority
    from vitalops.secretstore import FileSecretStore

    kept = FileSecretStore(paths.secrets(platform.name)).get(AUTHORITY_SECRET)
    if kept is None:
        raise UsageError("the platform has no certificate authority yet", hint="run: vitalops up")
    document = json.loads(kept)
    return CertificateAuthority.load(document["certificate"], document["key"])


def _people(platform: Platform, paths: Paths) -> People:
    from runbooks.serve.people import People
    from vitalops.ports.clock import SystemClock
    from vitalops.secretstore import FileSecretStore

    return People(FileSecretStore(paths.secrets(platform.name)), SystemClock())


def _change_people(people: People, folder: Path, add: str, revoke: str) -> None:
    if revoke:
        people.revoke(revoke)
        print(f"{revoke} can no longer log in, nor go on with a session")
        return
    token = people.add(add)
    file = folder / f"oncall-{add}.token"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file.unlink(missing_ok=True)
        file.touch(mode=0o600, exist_ok=False)
        file.write_text(f"{token}\n", encoding="ascii")
    except OSError as error:
        raise VitalopsError(f"{file}: {error.strerror or error}") from None
    print(f"{add} logs in with the token in {file}: hand it over, then remove the file")


def _ready(url: str, people: People) -> None:
    names = people.names()
    who = (
        f"on call: {', '.join(names)}"
        if names
        else "nobody can log in yet: vitalops runbook serve --add-person NAME"
    )
    print(f"alerts to {url}/v1/alerts, people to {url}/; {who}", flush=True)


def _complain(line: str) -> None:
    print(f"warning: {' '.join(line.split())}", file=sys.stderr, flush=True)
