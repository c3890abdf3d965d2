"""The few lines of shell that let a program take changed settings without being restarted, run for real."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from infra.components.telemetry.reload import POLL_SECONDS, SCRIPT, reloading

PATIENCE_SECONDS = 10.0
# Says when it starts and when it is told to read its settings again; ends with a status of its own when told to end.
PROGRAM = """
echo started >> "$1"
trap 'echo reloaded >> "$1"' HUP
trap 'echo ended >> "$1"; exit 7' TERM
while :; do sleep 0.05; done
"""


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    """A folder as the kubelet mounts a ConfigMap: files are links into the folder that `..data` is a link to."""
    folder = tmp_path / "settings"
    (folder / "..first").mkdir(parents=True)
    (folder / "..first" / "a.yaml").write_text("one")
    (folder / "..data").symlink_to("..first")
    (folder / "a.yaml").symlink_to("..data/a.yaml")
    return folder


def change(folder: Path, name: str, text: str) -> None:
    """All files at once, by another `..data`."""
    (folder / name).mkdir()
    (folder / name / "a.yaml").write_text(text)
    (folder / "..new").symlink_to(name)
    (folder / "..new").replace(folder / "..data")


@pytest.fixture
def running(settings: Path, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    log = tmp_path / "log"
    command = reloading(str(settings), "/bin/sh", "-c", PROGRAM, "program", str(log))
    assert f"sleep {POLL_SECONDS}" in SCRIPT
    command[2] = command[2].replace(f"sleep {POLL_SECONDS}", "sleep 0.05")
    process = subprocess.Popen(command, start_new_session=True)
    until(lambda: log.exists() and "started" in log.read_text())
    yield process, log
    if process.poll() is None:
        process.terminate()
        process.wait(PATIENCE_SECONDS)


def test_changed_files_are_read_again_once(
    running: tuple[subprocess.Popen[bytes], Path], settings: Path
) -> None:
    _, log = running
    change(settings, "..second", "two")
    until(lambda: log.read_text().count("reloaded") == 1)
    change(settings, "..third", "two")
    time.sleep(0.3)
    assert log.read_text().count("reloaded") == 1, "the same content is no change"
    change(settings, "..fourth", "three")
    until(lambda: log.read_text().count("reloaded") == 2)
    assert log.read_text().count("started") == 1


def test_the_end_is_passed_on_with_its_status(running: tuple[subprocess.Popen[bytes], Path]) -> None:
    process, log = running
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_SECONDS) == 7
    assert log.read_text().endswith("ended\n")


def test_a_program_that_fails_ends_its_container(settings: Path) -> None:
    done = subprocess.run(
        reloading(str(settings), "/bin/sh", "-c", "exit 3"), timeout=PATIENCE_SECONDS, check=False
    )
    assert done.returncode == 3
