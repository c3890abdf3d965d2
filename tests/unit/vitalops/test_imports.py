"""Modules that import one another in a circle, entered from both sides at once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

_PROGRAM = """\
import sys, threading
from vitalops.imports import one_thread_imports
sys.path.insert(0, sys.argv[1])
failed = []
def enter(name):
    try:
        with one_thread_imports():
            __import__(name)
    except ImportError as error:
        failed.append(str(error))
threads = [threading.Thread(target=enter, args=(name,)) for name in ("ring", "ring.one", "ring.two")]
for thread in threads: thread.start()
for thread in threads: thread.join()
sys.exit("; ".join(failed) or 0)
"""


@pytest.fixture
def ring(tmp_path: Path) -> Path:
    package = tmp_path / "ring"
    package.mkdir()
    wait = "import time; time.sleep(0.05)\n"
    (package / "__init__.py").write_text("from ring import one, two\n")
    (package / "one.py").write_text(f"{wait}import ring.two\nname = 1\n")
    (package / "two.py").write_text(f"{wait}import ring.one\n{wait}from ring.one import __name__ as seen\n")
    return tmp_path


def test_threads_find_whole_modules(ring: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, str(ring)], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr
