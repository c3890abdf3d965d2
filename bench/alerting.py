"""python -m bench.alerting [--runs N]: from the first failed request to the page, and from recovery to its end.

Real Prometheus and Alertmanager on loopback, with the rules and the routing that a region gets, and six hours of
healthy history behind them: with less, a burn rate over an hour is reached sooner than it would be in earnest. A
stand-in for the gateway counts five requests a second, and from one moment on every one of them fails.
"""

from __future__ import annotations

import argparse
import secrets
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

import yaml

from bench.measure import Figure
from bench.receiver import Receiver, receiver
from bench.tsdb import Recorded, free_port, wait_until_ready, write_blocks
from infra.components.telemetry import alertmanager
from infra.local.toolchain.system import ensure_system
from infra.program.inputs import Surroundings, region_args
from vitalops import conventions as c
from vitalops.model.loader import load_platform
from vitalops.model.platform import Platform
from vitalops.model.telemetry import Alerting, Webhook
from vitalops.paths import Paths
from vitalops.ports.progress import SilentProgress
from vitalops.secretstore import InMemorySecretStore
from vitalops.slo.rules import compile_rules

ROOT = Path(__file__).resolve().parent.parent
REGION: Final = "fr-par"
SERVICE: Final = "records"
SLO: Final = "records-answered"
RESPONSES: Final = "haproxy_backend_http_responses_total"
PAGE: Final = {"alertname": c.ALERT_BURN, c.METRIC_SLO: SLO, c.METRIC_SEVERITY: c.SEVERITY_PAGE}
RATE: Final = 5.0
"""Requests a second."""
HISTORY_SECONDS: Final = 6 * 3600
PAGE_SECONDS: Final = 75.0
"""Promised, from the first failed request to the page being here."""
RESOLVED_SECONDS: Final = 360.0
"""Promised, from recovery to the end of the page being here."""
OUTAGE_SECONDS: Final = 120.0


@dataclass(slots=True)
class Gateway:
    """Counts answers as a region's gateway would; all of them fail between `fail()` and `recover()`."""

    rate: float
    began: float
    counts: dict[str, float] = field(default_factory=lambda: {"2xx": 0.0, "5xx": 0.0})
    down: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def _count(self) -> float:
        now = time.time()
        self.counts["5xx" if self.down else "2xx"] += (now - self.began) * self.rate
        self.began = now
        return now

    def fail(self) -> float:
        """Returns the time of the first failed request."""
        with self._lock:
            at = self._count()
            self.down = True
            return at + 1 / self.rate

    def recover(self) -> float:
        """Returns the time of the last failed request."""
        with self._lock:
            at = self._count()
            self.down = False
            return at

    def exposition(self) -> str:
        with self._lock:
            self._count()
            head = f"# TYPE {RESPONSES} counter\n"
            return head + "".join(
                f'{RESPONSES}{{code="{code}",proxy="{SERVICE}",traffic="real"}} {int(count)}\n'
                for code, count in self.counts.items()
            )


TARGET: Final = {
    "job": c.JOB_GATEWAY,
    "namespace": c.NAMESPACE_GATEWAY,
    c.METRIC_SERVICE: c.GATEWAY_SERVICE,
    "pod": "gateway-0",
    "instance": "gateway-0",
    c.METRIC_REGION: REGION,
}


def history(platform: Platform, end: float, rate: float = RATE) -> Iterator[Recorded]:
    """Healthy traffic until `end` (seconds since the epoch): counters with each scrape, and the base each minute."""
    pair = next(pair.name for pair in platform.pairs.values() if REGION in (pair.primary, pair.standby))
    interval = platform.telemetry.scrape_interval_seconds
    scrapes = [end - back for back in range(HISTORY_SECONDS, 0, -interval)]
    for code, each in (("2xx", rate), ("5xx", 0.0)):
        labels = {**TARGET, c.METRIC_PAIR: pair, "code": code, "proxy": SERVICE, c.METRIC_TRAFFIC: "real"}
        counted = ((at, float(int(each * (at - scrapes[0])))) for at in scrapes)
        yield Recorded(RESPONSES, labels, counted)
    minutes = [end - back for back in range(HISTORY_SECONDS, 0, -60)]
    own = {
        c.METRIC_SLO: SLO,
        c.METRIC_SLI: SLO.removeprefix(f"{SERVICE}-"),
        c.METRIC_SERVICE: SERVICE,
        c.METRIC_REGION: REGION,
        c.METRIC_PAIR: pair,
        c.METRIC_TRAFFIC: c.TRAFFIC_REAL,
    }
    for name, count in ((c.RECORD_EVENTS, rate * 60), (c.RECORD_BAD, 0.0)):
        yield Recorded(f"{name}1m", own, [(at, count) for at in minutes])


@contextmanager
def serving(gateway: Gateway) -> Iterator[int]:
    """The gateway's /metrics on loopback; its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(gateway.exposition().encode())

        def log_message(self, format: str, *args: object) -> None:
            del format, args

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def process(command: list[str], ready: str, log: Path) -> Iterator[None]:
    """A program that runs while the block does. Raises TimeoutError where `ready` (a URL) is not answered."""
    with log.open("ab") as out:
        running = subprocess.Popen(command, stdout=out, stderr=out)
    try:
        wait_until_ready(ready, running, log)
        yield
    finally:
        if running.poll() is None:
            running.terminate()
        running.wait(timeout=30)


def with_webhook(platform: Platform, url: str) -> Platform:
    return platform.model_copy(update={"alerting": Alerting(webhooks=(Webhook(name="pager", url=url),))})


def routing(platform: Platform, folder: Path, token_file: Path) -> str:
    """A region's alertmanager.yml, with the token where this machine has it.

    Without the time limit of webhooks, which the Alertmanager of Debian 12 does not know.
    """
    paths = Paths(cache=folder, state=folder, run=folder)
    images = dict.fromkeys(c.IMAGE_NAMES, "none")
    args = region_args(Surroundings(platform, paths, InMemorySecretStore(), images), REGION)
    document = alertmanager.configuration(args)
    for each in document["receivers"]:
        for webhook in each.get("webhook_configs", ()):
            webhook.pop("timeout", None)
    return yaml.safe_dump(document).replace(alertmanager.TOKEN_FILE, str(token_file))


def scraping(platform: Platform, rules: Path, alertmanager_port: int, gateway_port: int) -> str:
    """A prometheus.yml with a region's intervals and the stand-in for its gateway."""
    interval = platform.telemetry.scrape_interval_seconds
    pair = next(pair.name for pair in platform.pairs.values() if REGION in (pair.primary, pair.standby))
    labels = {**TARGET, c.METRIC_PAIR: pair}
    relabel = [{"target_label": name, "replacement": value} for name, value in labels.items()]
    document = {
        "global": {"scrape_interval": f"{interval}s", "evaluation_interval": f"{interval}s"},
        "rule_files": [f"{rules}/*.yaml"],
        "alerting": {
            "alertmanagers": [{"static_configs": [{"targets": [f"127.0.0.1:{alertmanager_port}"]}]}]
        },
        "scrape_configs": [
            {
                "job_name": c.JOB_GATEWAY,
                "static_configs": [{"targets": [f"127.0.0.1:{gateway_port}"]}],
                "relabel_configs": relabel,
            }
        ],
    }
    return yaml.safe_dump(document, sort_keys=False)


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything running, healthy."""

    gateway: Gateway
    pager: Receiver


@contextmanager
def scene(folder: Path) -> Iterator[Scene]:
    """Prometheus, Alertmanager, the gateway's stand-in and the pager, with history behind them."""
    ensure_system(["prometheus", "promtool", "prometheus-alertmanager"], SilentProgress())
    token = secrets.token_urlsafe(16)
    token_file = folder / "token"
    token_file.write_text(token)
    rules = folder / "rules"
    rules.mkdir()
    alert_port, prometheus_port = free_port(), free_port()
    with ExitStack() as stack:
        pager = stack.enter_context(receiver(token))
        bundled = load_platform(ROOT / "platform.yaml", datetime.now(UTC).date())
        platform = with_webhook(bundled, pager.url)
        (rules / f"{SERVICE}.yaml").write_text(compile_rules(platform, REGION)[f"{SERVICE}.yaml"])
        now = time.time()
        write_blocks(folder / "data", history(platform, now))
        gateway = Gateway(RATE, now, {"2xx": RATE * HISTORY_SECONDS, "5xx": 0.0})
        gateway_port = stack.enter_context(serving(gateway))
        (folder / "alertmanager.yml").write_text(routing(platform, folder, token_file))
        (folder / "prometheus.yml").write_text(scraping(platform, rules, alert_port, gateway_port))
        stack.enter_context(
            process(
                [
                    "prometheus-alertmanager",
                    f"--config.file={folder}/alertmanager.yml",
                    f"--storage.path={folder}/alertmanager",
                    f"--web.listen-address=127.0.0.1:{alert_port}",
                    "--cluster.listen-address=",
                ],
                f"http://127.0.0.1:{alert_port}/-/ready",
                folder / "alertmanager.log",
            )
        )
        stack.enter_context(
            process(
                [
                    "prometheus",
                    f"--config.file={folder}/prometheus.yml",
                    f"--storage.tsdb.path={folder}/data",
                    f"--web.listen-address=127.0.0.1:{prometheus_port}",
                ],
                f"http://127.0.0.1:{prometheus_port}/-/ready",
                folder / "prometheus.log",
            )
        )
        yield Scene(gateway, pager)


@dataclass(frozen=True, slots=True)
class Outage:
    """Seconds from the first failed request to the page, and from the last one to the end of the page."""

    page: float
    resolved: float


def page_of(pager: Receiver, failed: float, labels: Mapping[str, str] = PAGE) -> float:
    """Seconds from `failed` until the page was here. Raises TimeoutError after twice what is promised."""
    return pager.wait_for(labels, "firing", 2 * PAGE_SECONDS, since=failed).at - failed


def resolution_of(
    pager: Receiver,
    recovered: float,
    labels: Mapping[str, str] = PAGE,
    meanwhile: Callable[[], None] = lambda: None,
) -> float:
    """Seconds from `recovered` until the page's end was here. Raises TimeoutError after twice what is promised."""
    notice = pager.wait_for(labels, "resolved", 2 * RESOLVED_SECONDS, since=recovered, meanwhile=meanwhile)
    return notice.at - recovered


def warm_up(pager: Receiver, seconds: float = 30.0) -> None:
    """Healthy for a while. Raises AssertionError where somebody was paged for nothing."""
    time.sleep(seconds)
    if pager.about(PAGE, "firing"):
        raise AssertionError("paged before anything failed")


def outage(seconds: float = OUTAGE_SECONDS) -> Outage:
    """One full outage of `seconds`, at least until the page is here."""
    with tempfile.TemporaryDirectory(prefix="vitalops-bench-") as folder, scene(Path(folder)) as here:
        warm_up(here.pager)
        failed = here.gateway.fail()
        page = page_of(here.pager, failed)
        time.sleep(max(0.0, failed + seconds - time.time()))
        recovered = here.gateway.recover()
        return Outage(page, resolution_of(here.pager, recovered))


def figures(outages: Sequence[Outage], where: str = "six hours of history") -> tuple[Figure, ...]:
    return (
        Figure(
            f"full outage to page, {where}",
            "s",
            PAGE_SECONDS,
            tuple(each.page for each in outages),
        ),
        Figure(
            f"recovery to resolved, {where}", "s", RESOLVED_SECONDS, tuple(each.resolved for each in outages)
        ),
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.alerting", description=__doc__)
    parser.add_argument(
        "--runs", type=int, default=1, help="outages, of eight minutes or so each (default 1)"
    )
    runs = max(parser.parse_args().runs, 1)
    measured = figures([outage() for _ in range(runs)])
    for figure in measured:
        print(figure.record())
    return 0 if all(figure.holds for figure in measured) else 1


if __name__ == "__main__":
    sys.exit(main())
