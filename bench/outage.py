"""python -m bench.outage [--runs N]: a service taken away from a running region, until its page has come and gone.

In earnest, where bench/alerting.py is exact: real requests through the edge, the region's own Prometheus and
Alertmanager, and a webhook on this machine at the address that the regions reach. The default regions must run; the
service (prescription) is gone for about two minutes, and the platform is as before afterwards. A region's history is as
long as it has been up: with less than an hour of it the page comes sooner than bench/alerting.py says.
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import httpx
import yaml

from bench.alerting import OUTAGE_SECONDS, Outage, figures, page_of, resolution_of
from bench.receiver import Receiver, receiver
from vitalops import conventions as c
from vitalops.consultation.access import access_to
from vitalops.consultation.http import trust
from vitalops.model.addresses import WAN_HOST_ADDRESS
from vitalops.model.loader import load_platform
from vitalops.model.selection import resolve_pair
from vitalops.paths import Paths
from vitalops.secretstore import FileSecretStore

ROOT = Path(__file__).resolve().parent.parent
VITALOPS = str(ROOT / ".venv/bin/vitalops")
SERVICE: Final = "prescription"
PATH: Final = "/prescription/.well-known/prescription-jwks.json"
"""Asked without a token, which would end before an outage does."""
RATE: Final = 6.0
"""Requests a second."""
MOST_AT_ONCE: Final = 60
WARM_SECONDS: Final = 60.0
WATCHDOG_SECONDS: Final = 240.0
"""For new settings to reach Alertmanager: the kubelet brings them within a minute or two."""
PAGE: Final = {
    "alertname": c.ALERT_BURN,
    c.METRIC_SLO: f"{SERVICE}-answered",
    c.METRIC_SEVERITY: c.SEVERITY_PAGE,
    c.METRIC_TRAFFIC: c.TRAFFIC_REAL,
}


def run(*command: str, seconds: float = 900) -> None:
    """Raises CalledProcessError with what the command printed."""
    subprocess.run(
        [VITALOPS, *command], check=True, capture_output=True, text=True, timeout=seconds, cwd=ROOT
    )


@dataclass(frozen=True, slots=True)
class Watched:
    """A running platform whose alerts come to `pager`. `region` is the pair's active one."""

    region: str
    edge_url: str
    ca_file: Path
    pager: Receiver

    def scale(self, service: str, replicas: int) -> None:
        """Takes a service away (0), or gives it back."""
        deployment = f"deployment/{service}"
        where = ("--namespace", c.NAMESPACE_SERVICES)
        shell = ("regions", "shell", self.region, "--", "kubectl")
        run(*shell, "scale", deployment, f"--replicas={replicas}", *where)
        if replicas:
            run(*shell, "rollout", "status", deployment, "--timeout=180s", *where)


def with_pager(source: Path, target: Path, url: str, interval: int, on_call: str = "") -> None:
    """Writes the platform of `source` with one webhook, and synthetic consultations `interval` seconds apart.

    With `on_call`, the URL of `vitalops runbook serve`, that is told too. The webhooks' names are new each time:
    Alertmanager remembers for hours what it has told a receiver of that name.
    """
    document: dict[str, Any] = yaml.safe_load(source.read_text())
    new = secrets.token_hex(4)
    webhooks = [{"name": f"pager-{new}", "url": url}]
    if on_call:
        webhooks.append({"name": f"on-call-{new}", "url": on_call, "trust": "platform"})
    document["alerting"] = {"webhooks": webhooks}
    document["telemetry"]["prober"] = {"interval_seconds": interval}
    target.write_text(yaml.safe_dump(document, sort_keys=False))


@contextmanager
def watched(
    folder: Path, *, source: Path = ROOT / "platform.yaml", interval: int = 10, on_call: str = ""
) -> Iterator[Watched]:
    """Brings the running platform to one with a pager on this machine, and back to `source` afterwards.

    Yields when the first notice, Alertmanager's watchdog, has arrived.
    """
    platform = load_platform(source, datetime.now(UTC).date())
    pair, paths = resolve_pair(platform, None), Paths.from_environment()
    access = access_to(platform, pair, paths)
    token = FileSecretStore(paths.secrets(platform.name)).get(f"{pair.name}/alerting/webhook-token")
    if token is None:
        raise RuntimeError("the platform has no webhook token: vitalops up first")
    file = folder / "platform.yaml"
    with receiver(token, WAN_HOST_ADDRESS) as pager, access.authority_file() as ca_file:
        with_pager(source, file, pager.url, interval, on_call)
        try:
            run("--platform", str(file), "--yes", "up")
            pager.wait_for(
                {"alertname": c.ALERT_WATCHDOG, c.METRIC_REGION: pair.primary}, "firing", WATCHDOG_SECONDS
            )
            yield Watched(pair.primary, access.edge_url, ca_file, pager)
        finally:
            run("--platform", str(source), "--yes", "up")


@dataclass(slots=True)
class Load:
    """What became of the requests. Times are seconds since the epoch."""

    answered: int = 0
    failed: int = 0
    first_failed: float = 0.0
    """When the first request that failed was sent."""
    last_failed: float = 0.0
    """When the last failure was known."""
    statuses: dict[str, int] = field(default_factory=dict[str, int])

    def note(self, sent: float, status: int, reason: str = "") -> None:
        seen = reason or str(status)
        self.statuses[seen] = self.statuses.get(seen, 0) + 1
        if reason or status >= 500:
            self.failed += 1
            self.first_failed = self.first_failed or sent
            self.last_failed = time.time()
        else:
            self.answered += 1


@contextmanager
def load(url: str, ca_file: Path, rate: float = RATE) -> Iterator[Load]:
    """Asks `url` `rate` times a second while the block runs, whether or not it answers."""
    kept, stop = Load(), threading.Event()

    async def ask(client: httpx.AsyncClient, free: asyncio.Semaphore) -> None:
        async with free:
            sent = time.time()
            try:
                kept.note(sent, (await client.get(url)).status_code)
            except httpx.TransportError as error:
                kept.note(sent, 0, type(error).__name__)

    async def go() -> None:
        free = asyncio.Semaphore(MOST_AT_ONCE)
        async with (
            httpx.AsyncClient(verify=trust(ca_file), timeout=15) as client,
            asyncio.TaskGroup() as group,
        ):
            due = time.monotonic()
            while not stop.is_set():
                group.create_task(ask(client, free))
                due += 1 / rate
                await asyncio.sleep(max(0.0, due - time.monotonic()))

    thread = threading.Thread(target=lambda: asyncio.run(go()), daemon=True)
    thread.start()
    try:
        yield kept
    finally:
        stop.set()
        thread.join(timeout=60)


def wait_until(what: str, seen: Callable[[], object], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not seen():
        if time.monotonic() >= deadline:
            raise TimeoutError(f"{what}: not within {seconds:g} s")
        time.sleep(0.2)


def taken_away(
    platform: Watched, seconds: float = 0.0, labels: Mapping[str, str] = PAGE
) -> tuple[float, float]:
    """Takes the service away for `seconds`, at least until the page is here, under load from end to end.

    Returns the seconds until the page, and when the last request failed. Raises TimeoutError where the page does not
    come within twice the time that is promised.
    """
    with load(platform.edge_url + PATH, platform.ca_file) as requests:
        time.sleep(WARM_SECONDS)
        if requests.failed:
            raise RuntimeError(f"requests failed before the outage: {requests.statuses}")
        try:
            platform.scale(SERVICE, 0)
            wait_until("a request fails", lambda: requests.failed, 60)
            failed = requests.first_failed
            page = page_of(platform.pager, failed, labels)
            time.sleep(max(0.0, failed + seconds - time.time()))
        finally:
            platform.scale(SERVICE, 1)
        wait_until("requests are answered again", lambda: time.time() > requests.last_failed + 5, 120)
        return page, requests.last_failed


def outage(platform: Watched, seconds: float = OUTAGE_SECONDS, labels: Mapping[str, str] = PAGE) -> Outage:
    """One full outage of `seconds`, until its page has ended."""
    page, recovered = taken_away(platform, seconds, labels)
    with load(platform.edge_url + PATH, platform.ca_file):
        return Outage(page, resolution_of(platform.pager, recovered, labels))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.outage", description=__doc__)
    parser.add_argument("--runs", type=int, default=1, help="outages, of ten minutes or so each (default 1)")
    runs = max(parser.parse_args().runs, 1)
    with tempfile.TemporaryDirectory(prefix="vitalops-bench-") as folder, watched(Path(folder)) as platform:
        measured = figures([outage(platform) for _ in range(runs)], "in a running region")
    for figure in measured:
        print(figure.record())
    return 0 if all(figure.holds for figure in measured) else 1


if __name__ == "__main__":
    sys.exit(main())
