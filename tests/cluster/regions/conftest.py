"""Two regions of a platform of the tests' own: its file puts them in the last places, so that their addresses are
free while the bundled platform runs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from vitalops.model.addresses import MAXIMUM_LOCAL_REGIONS
from vitalops.paths import Paths

ROOT = Path(__file__).parents[3]
VITALOPS = str(Path(sys.executable).parent / "vitalops")
WEST, EAST = "test-west", "test-east"
START_SECONDS = 3600
"""From a bare machine the first start builds Kubernetes."""


def write_platform(path: Path) -> None:
    document = yaml.safe_load((ROOT / "platform.yaml").read_text())
    model = document["regions"]["fr-par"]
    spare = [f"test-spare-{number}" for number in range(1, MAXIMUM_LOCAL_REGIONS - 1)]
    document["name"] = "test-regions"
    document["regions"] = dict.fromkeys((*spare, WEST, EAST), model)
    pair = document["pairs"]["france"]
    document["pairs"] = {"tests": {**pair, "primary": WEST, "standby": EAST, "edge": {"port": 9443}}}
    path.write_text(yaml.safe_dump(document, sort_keys=False))


@dataclass(frozen=True, slots=True)
class Regions:
    """The two regions through the command that a user has."""

    platform: Path

    def command(self, *arguments: str) -> list[str]:
        return [VITALOPS, "--platform", str(self.platform), *arguments]

    def run(
        self, *arguments: str, check: bool = True, text: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            self.command(*arguments), input=text or "", capture_output=True, text=True, timeout=START_SECONDS
        )
        if check and done.returncode:
            pytest.fail(
                f"vitalops {' '.join(arguments)} exited {done.returncode}\n{done.stdout}\n{done.stderr}"
            )
        return done

    def json(self, *arguments: str) -> Any:
        return json.loads(self.run(*arguments, "--output", "json").stdout)

    def start(self, *names: str) -> list[dict[str, Any]]:
        return self.json("regions", "start", *(names or (WEST, EAST)))

    def stop(self, *names: str) -> None:
        self.run("regions", "stop", *(names or (WEST, EAST)))

    def status(self, name: str) -> dict[str, Any]:
        return next(region for region in self.json("regions", "list") if region["name"] == name)

    def kubectl(self, region: str, *arguments: str, text: str | None = None, check: bool = True) -> str:
        return self.run(
            "regions", "shell", region, "--", "kubectl", *arguments, text=text, check=check
        ).stdout

    def apply(self, region: str, *manifests: dict[str, Any]) -> None:
        self.kubectl(region, "apply", "-f", "-", text=yaml.safe_dump_all(manifests))

    def image(self) -> str:
        """Reference of an image with Python, loaded into both regions."""
        self.run("images", "load", "base", "--region", WEST, "--region", EAST)
        return next(image["reference"] for image in self.json("images", "list") if image["name"] == "base")


@pytest.fixture(scope="session")
def regions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Regions]:
    file = tmp_path_factory.mktemp("platform") / "platform.yaml"
    write_platform(file)
    made = Regions(file)
    made.run("--yes", "regions", "stop", WEST, EAST, "--purge")
    yield made
    made.run("--yes", "regions", "stop", WEST, EAST, "--purge")


def processes_of(region: str) -> dict[str, int]:
    """Pid by name of every process that was started for a region, whoever its parent is now."""
    found: dict[str, int] = {}
    for entry in Path("/proc").iterdir():
        try:
            variables = (entry / "environ").read_bytes().split(b"\0") if entry.name.isdigit() else []
            command = (entry / "cmdline").read_bytes() if variables else b""
        except OSError:
            continue
        values = dict(variable.split(b"=", 1) for variable in variables if b"=" in variable)
        if values.get(b"VITALOPS_REGION") == region.encode() and b"VITALOPS_PROCESS" in values:
            name = values[b"VITALOPS_PROCESS"].decode()
            program = command.split(b"\0")[0].rsplit(b"/", 1)[-1].decode()
            found[name if program == name else f"{program} of {name} {entry.name}"] = int(entry.name)
    return found


def kill(*pids: int) -> None:
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while any(
        Path(f"/proc/{pid}/cmdline").exists() and Path(f"/proc/{pid}/cmdline").read_bytes() for pid in pids
    ):
        assert time.monotonic() < deadline, f"{pids} do not die"
        time.sleep(0.05)


def traces_of(region: str) -> list[str]:
    """Everything on the machine that belongs to a region, its state and logs aside."""
    found = [f"process {name} {pid}" for name, pid in processes_of(region).items()]
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    found += [f"mount {line.split()[4]}" for line in mounts if f"/{region}" in line]
    found += [f"cgroup {path}" for path in Path("/sys/fs/cgroup").rglob(f"vitalops-{region}*")]
    found += [f"namespace {path}" for path in Path("/run/netns").glob(f"*{region}*")]
    run = Paths.from_environment().region_run(region)
    found += [f"file {run}"] if run.exists() else []
    shown = subprocess.run(["ip", "link", "show"], capture_output=True, text=True, check=True).stdout
    if Path("/run/netns/vitalops-wan").exists():
        wan = ["ip", "-n", "vitalops-wan", "link", "show"]
        shown += subprocess.run(wan, capture_output=True, text=True, check=True).stdout
    found += [f"link {line.strip()}" for line in shown.splitlines() if region in line]
    pods = Path("/var/log/containers")
    links = pods.iterdir() if pods.is_dir() else ()
    found += [f"link {link}" for link in links if f"/{region}/" in os.readlink(link)]
    return found


def host_network() -> dict[str, str]:
    """The machine's own rules and settings, which regions must not touch; its routes without the regions' one."""
    commands = {
        "rules": ["ip", "rule"],
        "routes": ["ip", "route", "show", "table", "all"],
        "nftables": ["nft", "list", "ruleset"],
    }
    answers = {
        name: subprocess.run(command, capture_output=True, text=True, check=True).stdout
        for name, command in commands.items()
    }
    lines = answers["routes"].splitlines()
    answers["routes"] = "\n".join(line for line in lines if "vitalops-host" not in line)
    for name in ("net/ipv4/ip_forward", "vm/overcommit_memory", "kernel/panic", "kernel/panic_on_oops"):
        answers[name] = (Path("/proc/sys") / name).read_text()
    return answers
