"""python -m bench [--runs N]: every published figure, from a warm toolchain and warm images.

Each round stops and purges the default regions, then does what a user does: start, up, up again, verify. It refuses to
begin while those regions run, since their data would be purged.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

from bench.measure import CommandFailed, Figure, available_bytes, repeated, seconds_of, write

ROOT = Path(__file__).resolve().parent.parent
VITALOPS = str(ROOT / ".venv/bin/vitalops")
GIB = 2**30


def running_regions() -> list[str]:
    listed = subprocess.run(
        [VITALOPS, "regions", "list", "--output", "json"], capture_output=True, text=True, check=True
    )
    return [region["name"] for region in json.loads(listed.stdout) if region["state"] != "stopped"]


def settle() -> None:
    """Lets the page cache's write-back and dying processes finish, so that one run does not pay for the last."""
    subprocess.run(["sync"], check=True)
    time.sleep(3)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="rounds of everything (default 3)")
    parser.add_argument("--out", type=Path, default=ROOT / "bench/results.json")
    options = parser.parse_args()
    if options.runs < 1:
        parser.error("--runs takes 1 or more")

    if alive := running_regions():
        print(
            f"bench: {', '.join(alive)} running, and a benchmark purges their data; first: vitalops regions stop",
            file=sys.stderr,
        )
        return 2

    try:
        help_seconds = repeated(5 * options.runs, lambda: seconds_of([VITALOPS, "--help"]))
        print("warming toolchain and images", file=sys.stderr)
        seconds_of([VITALOPS, "toolchain", "ensure"])
        seconds_of([VITALOPS, "images", "build"])
        ready: list[float] = []
        up: list[float] = []
        again: list[float] = []
        verify: list[float] = []
        memory: list[float] = []
        for turn in range(options.runs):
            print(f"round {turn + 1} of {options.runs}", file=sys.stderr)
            seconds_of([VITALOPS, "--yes", "regions", "stop", "--purge"])
            settle()
            before = available_bytes()
            ready.append(seconds_of([VITALOPS, "regions", "start"]))
            up.append(seconds_of([VITALOPS, "--yes", "up"]))
            again.append(seconds_of([VITALOPS, "--yes", "up"]))
            verify.append(seconds_of([VITALOPS, "verify"]))
            settle()
            memory.append((before - available_bytes()) / GIB)
        seconds_of([VITALOPS, "--yes", "regions", "stop", "--purge"])
    except CommandFailed as failure:
        print(f"bench: {failure}", file=sys.stderr)
        return 3

    figures = (
        Figure("both regions Ready", "s", 15, tuple(ready)),
        Figure("up, to all Ready in both regions", "s", 90, tuple(up)),
        Figure("up, nothing to do", "s", 10, tuple(again)),
        Figure("verify", "s", 30, tuple(verify)),
        Figure("memory of everything", "GiB", 7, tuple(memory)),
        Figure("vitalops --help", "s", 0.25, help_seconds),
    )
    write(options.out, figures)
    for figure in figures:
        entry = figure.record()
        print(
            f"{figure.name:34} {entry['minimum']:>8} {entry['median']:>8} {entry['maximum']:>8} {figure.unit:4}"
            f" limit {figure.limit:g} {'holds' if figure.holds else 'MISSED'}"
        )
    return 0 if all(figure.holds for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
