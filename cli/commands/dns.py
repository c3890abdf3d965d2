"""`vitalops dns`: the DNS names that lead to failover pairs, and the keys by which they are changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from cli import context
from cli.examples import examples
from cli.output import emit
from vitalops.errors import UsageError

if TYPE_CHECKING:
    from vitalops.model.failover import DnsRecord
    from vitalops.model.platform import FailoverPair, Platform

app = typer.Typer(help="The DNS names that lead to failover pairs, and their keys.")
Pair = Annotated[str, typer.Argument(metavar="PAIR", help="A failover pair with `dns` in platform.yaml.")]


@dataclass(frozen=True, slots=True)
class WrittenKey:
    """Where the key is; its secret is in those files alone, and in the secret store."""

    key: str
    bind: str
    knot: str


@dataclass(frozen=True, slots=True)
class Leading:
    """Where a name leads now, by its authoritative server's word; empty: to neither region."""

    name: str
    region: str
    ttl_seconds: int


def _record(platform: Platform, name: str) -> tuple[FailoverPair, DnsRecord]:
    from vitalops.model.selection import resolve_pair

    pair = resolve_pair(platform, name)
    if pair.dns is None:
        raise UsageError(
            f"pair {pair.name} has no DNS name", hint=f"set pairs.{pair.name}.dns in platform.yaml"
        )
    return pair, pair.dns


@app.command()
@examples("vitalops dns key france")
def key(pair: Pair) -> None:
    """Write a pair's TSIG key for BIND and Knot; make it where there is none yet.

    Prints where the files are, never the secret. They are readable by their owner alone: bring them to the DNS server,
    and allow the key to update the pair's name there.
    """
    from infra.traffic.keys import write_key
    from vitalops.paths import Paths
    from vitalops.secretstore import FileSecretStore

    platform = context.current().load_platform()
    declared, record = _record(platform, pair)
    paths = Paths.from_environment()
    store = FileSecretStore(paths.secrets(platform.name))
    bind, knot = write_key(store, declared.name, record, paths.state / "dns" / platform.name / declared.name)
    emit(
        WrittenKey(record.key, str(bind), str(knot)),
        lambda _: f"key {record.key}\n  BIND  {bind}\n  Knot  {knot}",
    )


@app.command()
@examples("vitalops dns show france")
def show(pair: Pair) -> None:
    """Ask the authoritative server where a pair's name leads."""
    from infra.operations.traffic import dns_director
    from vitalops.paths import Paths
    from vitalops.secretstore import FileSecretStore

    platform = context.current().load_platform()
    declared, record = _record(platform, pair)
    store = FileSecretStore(Paths.from_environment().secrets(platform.name))
    director = dns_director(platform, declared, record, store)
    found = Leading(record.name.rstrip("."), director.active(), record.ttl_seconds)
    where = found.region or f"neither {declared.primary} nor {declared.standby}"
    emit(found, lambda _: f"{found.name} leads to {where} (for {found.ttl_seconds} s at a client's)")
