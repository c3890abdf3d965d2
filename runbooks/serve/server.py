"""Puts the receiver together and keeps it running until it is told to stop."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import ssl
import tempfile
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

import uvicorn

from runbooks.engine.model import Runbook
from runbooks.engine.port import Operations
from runbooks.serve.acting import Acting, Loop, go_on
from runbooks.serve.commits import GroupCommits
from runbooks.serve.desk import Desk
from runbooks.serve.people import People
from runbooks.serve.recording import Recording
from runbooks.serve.store import IncidentStore
from runbooks.serve.web import Site, application
from vitalops import halt as kill_switch
from vitalops.errors import UsageError, VitalopsError
from vitalops.evidence.files import FileJournal
from vitalops.model.platform import Platform
from vitalops.pki.authority import CertificateAuthority
from vitalops.ports.clock import Clock
from vitalops.secretstore.port import SecretStore

WEBHOOK_TOKEN: Final = "alerting/webhook-token"
"""Secret of a pair: `<pair>/alerting/webhook-token`."""
DATABASE: Final = "alerts.sqlite"
LOCK: Final = "serve.lock"
MOST_CONNECTIONS: Final = 1000
STOP_SECONDS: Final = 10
PASS_SECONDS: Final = 1.0
"""How often the journal and the incidents are looked at when nothing woke anybody."""


@dataclass(frozen=True, slots=True)
class Listen:
    """Where to listen: an address of this machine, and a port; 0 takes a free one."""

    host: str
    port: int

    @staticmethod
    def parse(text: str) -> Listen:
        """From ADDRESS:PORT. Raises UsageError."""
        host, colon, port = text.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        try:
            ip_address(host)
            number = int(port) if port.isascii() and port.isdigit() else -1
        except ValueError:
            number = -1
        if not colon or not 0 <= number <= 65535:
            raise UsageError(f"{text[:80]!r} is no address to listen on", hint="such as 127.0.0.1:9443")
        return Listen(host, number)

    @property
    def is_loopback(self) -> bool:
        return ip_address(self.host).is_loopback

    def url(self, scheme: str, port: int) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{host}:{port}"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a receiver works with. `folder` is the platform's operations folder."""

    platform: Platform
    folder: Path
    store: IncidentStore
    operations: Operations
    runbooks: Sequence[Runbook[Any]]
    journal: FileJournal
    secrets: SecretStore
    clock: Clock


def webhook_tokens(secrets: SecretStore, platform: Platform) -> Mapping[str, str]:
    """By pair; asked at every message, so that a rotated token counts at once."""
    tokens = ((pair, secrets.get(f"{pair}/{WEBHOOK_TOKEN}")) for pair in platform.pairs)
    return {pair: token for pair, token in tokens if token}


def serve(
    around: Surroundings,
    listen: Listen,
    authority: CertificateAuthority | None,
    ready: Callable[[str], None],
    complain: Callable[[str], None],
) -> None:
    """Serve until SIGTERM or SIGINT. `authority` signs the certificate; without one it is plain HTTP.

    `ready` gets the URL once connections are taken, `complain` a line for everything that goes wrong in the background.
    Raises UsageError where another receiver runs on the same folder, OSError where it cannot listen.
    """
    with ExitStack() as stack:
        stack.enter_context(_alone(around.folder / LOCK))
        listening = stack.enter_context(_socket(listen))
        stack.enter_context(_stopping())
        halt_file = around.folder / kill_switch.FILE
        acting = Acting(
            around.store,
            around.operations,
            around.runbooks,
            around.platform,
            lambda: kill_switch.read(halt_file),
            around.clock,
        )
        recording = Recording(around.store, around.journal)
        recorder = stack.enter_context(Loop("recording", recording.record, complain, PASS_SECONDS))

        def act() -> bool:
            more = acting.act()
            recorder.wake()
            return more

        actor = stack.enter_context(Loop("acting", act, complain, PASS_SECONDS))
        commits = stack.enter_context(GroupCommits(around.store, around.clock, actor.wake))
        for problem in go_on(around.operations):
            complain(problem)
        desk = Desk(
            around.platform.name,
            around.store,
            around.operations,
            around.journal,
            halt_file,
            around.clock,
            actor.wake,
        )
        site = Site(
            around.platform.name,
            commits,
            desk,
            People(around.secrets, around.clock),
            lambda: webhook_tokens(around.secrets, around.platform),
            authority is not None,
        )
        config = uvicorn.Config(
            application(site),
            http="h11",
            ws="none",
            loop="asyncio",
            lifespan="off",
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=MOST_CONNECTIONS,
            timeout_keep_alive=30,
            timeout_graceful_shutdown=STOP_SECONDS,
        )
        config.load()
        if authority is not None:
            config.ssl = server_context(authority, listen.host)
        scheme = "https" if authority is not None else "http"
        ready(listen.url(scheme, listening.getsockname()[1]))
        uvicorn.Server(config).run(sockets=[listening])


def server_context(authority: CertificateAuthority, host: str) -> ssl.SSLContext:
    """A context with a certificate made now, for `host` and this machine's names. Its key is on disk for a moment, in a
    folder that nobody else can open."""
    names = tuple(dict.fromkeys(("localhost", socket.gethostname())))
    address = () if ip_address(host).is_unspecified else (host,)
    issued = authority.issue("vitalops-on-call", dns=names, ip=tuple(dict.fromkeys((*address, "127.0.0.1"))))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    with tempfile.TemporaryDirectory(prefix="vitalops-serve-") as folder:
        file = Path(folder) / "server.pem"
        file.touch(mode=0o600)
        file.write_text(issued.key_pem + issued.certificate_pem, encoding="ascii")
        context.load_cert_chain(file)
    return context


@contextmanager
def _alone(lock: Path) -> Generator[None]:
    """Of two receivers on one folder the second is refused: both would write the same pages."""
    lock.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(
                "a receiver runs on this machine for this platform already", hint=f"it holds {lock}"
            ) from None
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _socket(listen: Listen) -> Generator[socket.socket]:
    family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
    try:
        found = socket.create_server((listen.host, listen.port), family=family, backlog=2048)
    except OSError as error:
        raise VitalopsError(
            f"cannot listen on {listen.host}:{listen.port}: {error.strerror or error}",
            hint="take another: --listen",
        ) from None
    with found:
        yield found


@contextmanager
def _stopping() -> Generator[None]:
    """SIGTERM ends the program in order: the server raises it again when it has closed its connections."""

    def stop(*_: object) -> None:
        raise SystemExit(0)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
