"""What telemetry costs a service: the share of its throughput that tracing, measuring and exporting take.

Two processes of the consent service, each on its own SQLite file: one as it is deployed, every request traced from the
gateway on, spans exported to a sink on loopback and metrics scraped every five seconds; one with OTEL_SDK_DISABLED.
They are asked in turns. What is compared is the processor time that each spends on its turn, its outbox and exporter
included: a service of one Python process has as much throughput as it has processor, and processor time, unlike
requests a second, does not tell of whatever else the machine is doing.

Log lines are written by both: they are what remains when the metrics are gone. Shipping them is the node's own work.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from bench.measure import Figure
from services.common.testing import ISSUER, FixedClock, TokenSigner

SERVICE = "consent"
PATH = "/v1/grants"
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Cost:
    """Processor time of one request, in milliseconds, of each turn."""

    traced: tuple[float, ...]
    untraced: tuple[float, ...]

    @property
    def share(self) -> float:
        """Median share of the throughput that telemetry takes, 0 to 1."""
        return statistics.median(
            1 - without / full for full, without in zip(self.traced, self.untraced, strict=True)
        )


class _Sink(BaseHTTPRequestHandler):
    """Everybody else: identity's token endpoint, the audit service, and the trace store."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        server = self.server
        assert isinstance(server, _SinkServer)
        if self.path == "/v1/traces":
            server.span_bytes += len(body)
        answer = b'{"access_token": "t", "expires_in": 3600}'
        self.send_response(200 if self.path.endswith(("token", "traces")) else 201)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:
        pass


class _SinkServer(ThreadingHTTPServer):
    daemon_threads = True
    span_bytes = 0


class _Served:
    """One service process."""

    def __init__(
        self, port: int, process: subprocess.Popen[bytes], headers: dict[str, str], traced: bool
    ) -> None:
        self._port, self._process, self._headers, self._traced = port, process, headers, traced
        self._client = http.client.HTTPConnection("127.0.0.1", port, timeout=10)

    def wait(self) -> None:
        deadline = time.monotonic() + 60
        while True:
            try:
                self._get("/readyz")
                return
            except OSError:
                self._client.close()
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise
                time.sleep(0.1)

    def scrape(self) -> None:
        client = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        client.request("GET", "/metrics")
        client.getresponse().read()
        client.close()

    def turn(self, requests: int, settle: float) -> float:
        """Processor milliseconds of each of so many requests, with what follows from them within `settle` seconds."""
        before = self._processor_seconds()
        for _ in range(requests):
            trace, span = uuid.uuid4().hex, uuid.uuid4().hex[:16]
            told = {"traceparent": f"00-{trace}-{span}-{self._traced:02d}"}
            if self._traced:
                told["x-vitalops-gateway"] = f"{time.time_ns() // 1000}-{'0' * 16}"
            self._get(PATH, self._headers | told)
        time.sleep(settle)
        return (self._processor_seconds() - before) * 1000 / requests

    def _get(self, path: str, headers: dict[str, str] | None = None) -> None:
        self._client.request("GET", path, headers=headers or {})
        answer = self._client.getresponse()
        answer.read()
        if answer.status != 200:
            raise OSError(f"{path} answered {answer.status}")

    def _processor_seconds(self) -> float:
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS


@contextmanager
def _service(folder: Path, port: int, sink: str, headers: dict[str, str], **more: str) -> Iterator[_Served]:
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(sys.path),
        "VITALOPS_DATABASE_URL": f"sqlite:///{folder}/{{service}}.db",
        "VITALOPS_ISSUER": ISSUER,
        "VITALOPS_SECRETS_DIR": str(folder),
        "VITALOPS_JWKS_FILE": str(folder / "jwks.json"),
        "VITALOPS_PORT": str(port),
        "VITALOPS_HOST": "127.0.0.1",
        "VITALOPS_DRAIN_SECONDS": "0",
        "VITALOPS_URL_IDENTITY": sink,
        "VITALOPS_URL_AUDIT": sink,
        **more,
    }
    module = [sys.executable, "-m", "services.common.migrate", SERVICE]
    subprocess.run(module, env=environment, check=True, stdout=subprocess.DEVNULL)
    process = subprocess.Popen(
        [sys.executable, "-m", "services.common.serve", SERVICE], env=environment, stdout=subprocess.DEVNULL
    )
    try:
        served = _Served(port, process, headers, traced="OTEL_SDK_DISABLED" not in more)
        served.wait()
        yield served
    finally:
        process.terminate()
        process.wait(15)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def measure(
    *, turns: int = 9, requests: int = 1000, settle: float = 1.5, ports: tuple[int, int] = (18931, 18932)
) -> Cost:
    """What telemetry costs, over `turns` turns of `requests` requests each; takes a minute or two."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vitalops-bench-")))
        sink = _SinkServer(("127.0.0.1", 0), _Sink)
        threading.Thread(target=sink.serve_forever, daemon=True).start()
        stack.callback(sink.shutdown)
        address = f"http://127.0.0.1:{sink.server_address[1]}"
        clock = FixedClock(datetime.now(UTC))
        signer = TokenSigner(clock)
        headers = {"authorization": f"Bearer {signer.token('patient', minutes=60)}"}
        served: list[_Served] = []
        variants = ({"OTEL_EXPORTER_OTLP_ENDPOINT": address}, {"OTEL_SDK_DISABLED": "true"})
        for name, more in zip(("traced", "untraced"), variants, strict=True):
            own = folder / name
            own.mkdir()
            signer.write_jwks(own / "jwks.json")
            (own / "client-secret").write_text("bench")
            served.append(stack.enter_context(_service(own, _free_port(), address, headers, **more)))
        traced, untraced = served
        over = threading.Event()

        def scrape() -> None:
            while not over.wait(5):
                traced.scrape()

        scraper = threading.Thread(target=scrape)
        scraper.start()
        try:
            for each in served:
                each.turn(requests // 2, settle)
            with_, without = [], []
            for number in range(turns):
                # Whoever goes second finds the machine as the first left it: they take it in turns.
                for each in (traced, untraced) if number % 2 else (untraced, traced):
                    (with_ if each is traced else without).append(each.turn(requests, settle))
        finally:
            over.set()
            scraper.join()
        if not sink.span_bytes:
            raise RuntimeError("no spans were exported: nothing was compared")
        return Cost(tuple(with_), tuple(without))


def figure(runs: int) -> Figure:
    """The share that telemetry takes, in percent, of each of `runs` turns and four more."""
    cost = measure(turns=runs + 4)
    shares = tuple(
        100 * (1 - without / full) for full, without in zip(cost.traced, cost.untraced, strict=True)
    )
    return Figure("a service's throughput that telemetry takes", "%", 10, shares)


def main() -> int:
    cost = measure()
    print(
        json.dumps(
            {
                "telemetry's share of throughput": round(cost.share, 4),
                "processor ms a request, with": round(statistics.median(cost.traced), 3),
                "processor ms a request, without": round(statistics.median(cost.untraced), 3),
            },
            indent=2,
        )
    )
    return 0 if cost.share <= 0.1 else 1


if __name__ == "__main__":
    sys.exit(main())
