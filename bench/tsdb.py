"""A Prometheus with a history that never happened: its blocks are made by promtool, its process is a real one.

For figures and tests that need days of recorded series: samples go in as OpenMetrics text, a file for each day.
"""

from __future__ import annotations

import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

DAY_SECONDS = 86_400
READY_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Recorded:
    """One series and its values: seconds since the epoch, and the value. In order of time."""

    metric: str
    labels: Mapping[str, str]
    samples: Iterable[tuple[float, float]]

    @property
    def identity(self) -> str:
        labels = ",".join(f'{name}="{value}"' for name, value in self.labels.items())
        return f"{self.metric}{{{labels}}}"


def write_blocks(folder: Path, series: Iterable[Recorded]) -> None:
    """Add `series` to the blocks in `folder`. Those of one call should span no more than about a day.

    Raises CalledProcessError with promtool's words where it refuses them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    text = folder.parent / f"{folder.name}.openmetrics"
    with text.open("w", encoding="ascii") as file:
        for each in series:
            head = each.identity
            file.writelines(f"{head} {value:g} {moment:.3f}\n" for moment, value in each.samples)
        file.write("# EOF\n")
    command = ["promtool", "tsdb", "create-blocks-from", "openmetrics", "--max-block-duration=24h", "--quiet"]
    subprocess.run([*command, str(text), str(folder)], check=True, capture_output=True, text=True)
    text.unlink()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass(slots=True)
class Served:
    """A Prometheus on loopback, over the blocks of `folder`."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(timeout=30)


@contextmanager
def prometheus(folder: Path, port: int | None = None) -> Iterator[Served]:
    """Serve the blocks of `folder` while the block runs. It scrapes nothing: blocks that reach into the future must
    say themselves that targets are `up`.

    Raises TimeoutError where it is not ready after `READY_SECONDS`.
    """
    port = port or free_port()
    file = folder.parent / f"{folder.name}.yaml"
    file.write_text("{}\n")
    command = [
        "prometheus",
        f"--config.file={file}",
        f"--storage.tsdb.path={folder}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--storage.tsdb.retention.time=400d",
        "--log.level=error",
    ]
    log = folder.parent / f"{folder.name}.log"
    with log.open("ab") as out:
        served = Served(folder, port, subprocess.Popen(command, stdout=out, stderr=out))
    try:
        wait_until_ready(f"{served.url}/-/ready", served.process, log)
        yield served
    finally:
        served.stop()


def wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Returns when `url` answers. Raises TimeoutError with the end of the log where the process does not get there."""
    end = time.monotonic() + READY_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=2):  # noqa: S310  # loopback
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise TimeoutError(f"{url} is not answered: {log.read_text(errors='replace')[-800:]}")
