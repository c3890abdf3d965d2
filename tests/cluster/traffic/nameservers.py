"""DNS servers from Debian, as processes of the test: on loopback, a port of their own, everything in a folder."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infra.local.toolchain.system import ensure_system
from infra.traffic.dns import DnsDirector
from infra.traffic.keys import write_key
from vitalops.model.failover import DnsRecord
from vitalops.model.platform import EdgeListener, FailoverPair
from vitalops.ports.progress import SilentProgress
from vitalops.secretstore.port import InMemorySecretStore

ZONE = "example.org"
NAME = "visits.example.org"
ADDRESSES = {"fr-par": "10.201.1.2", "fr-gra": "10.201.2.2"}
_ZONE_FILE = """\
$TTL 60
@ IN SOA ns.example.org. hostmaster.example.org. 1 3600 600 86400 60
@ IN NS ns.example.org.
ns IN A 127.0.0.1
visits 60 IN A 10.201.1.2
"""
_NAMED = """\
include "{key}";
options {{
  directory "{folder}";
  pid-file "{folder}/named.pid";
  session-keyfile "{folder}/session.key";
  lock-file none;
  listen-on port {port} {{ 127.0.0.1; }};
  listen-on-v6 {{ none; }};
  recursion no;
  dnssec-validation no;
  notify no;
}};
controls {{ }};
zone "{zone}" {{
  type primary;
  file "{folder}/zone";
  update-policy {{ grant {name} name {record} A AAAA CNAME; }};
}};
"""
_KNOT = """\
server:
    listen: 127.0.0.1@{port}
    rundir: {folder}
database:
    storage: {folder}
include: {key}
acl:
  - id: update
    key: {name}
    action: update
zone:
  - domain: {zone}
    file: {folder}/zone
    acl: update
"""


def pair(record: DnsRecord) -> FailoverPair:
    return FailoverPair(
        name="france",
        primary="fr-par",
        standby="fr-gra",
        rto_seconds=60,
        rpo_seconds=0,
        edge=EdgeListener(port=8443),
        dns=record,
    )


def director(port: int, store: InMemorySecretStore | None = None, **changes: object) -> DnsDirector:
    """As the platform would have it; `changes` are to the record."""
    record = DnsRecord(server="127.0.0.1", port=port, zone=ZONE, name=NAME, key="vitalops").model_copy(
        update=changes
    )
    return DnsDirector(pair(record), record, ADDRESSES, store or InMemorySecretStore(), timeout=3.0)


@contextmanager
def server(kind: str, folder: Path, *, clock: str = "") -> Iterator[DnsDirector]:
    """`named` or `knotd`, with the key of the director that is yielded. `clock` is faketime's, such as `-15m`;
    named does not run under it."""
    programs = ensure_system((kind, *(["faketime"] if clock else [])), SilentProgress())
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    store = InMemorySecretStore()
    made = director(port, store)
    bind, knot = write_key(store, "france", made.record, folder / "keys")
    assert bind.stat().st_mode & 0o777 == knot.stat().st_mode & 0o777 == 0o600
    (folder / "zone").write_text(_ZONE_FILE)
    named = kind == "named"
    text, key = (_NAMED, bind) if named else (_KNOT, knot)
    config = folder / "server.conf"
    config.write_text(
        text.format(folder=folder, port=port, zone=ZONE, record=NAME, name=made.record.key, key=key)
    )
    command = [programs[kind], *(["-g"] if named else []), "-c", str(config)]
    if clock:
        command = [programs["faketime"], "-f", clock, *command]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        _await(port, process, folder / "log")
        yield made
    finally:
        # faketime stays beside what it runs.
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(15)


def _await(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            if director(port).active():
                return
        except Exception:
            assert process.poll() is None, log.read_text()
        time.sleep(0.1)
    raise AssertionError(log.read_text())
