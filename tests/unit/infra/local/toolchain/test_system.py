"""Programs of the operating system, with an apt-get that only the test sees."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from infra.local.toolchain.system import DEBIAN_PACKAGES, REGION_PROGRAMS, ensure_system, packages_for
from vitalops.errors import RemoteError, UsageError
from vitalops.ports.progress import RecordedProgress


class Debian:
    """A machine: `there` are its programs; installing a package brings those that the table says."""

    def __init__(self, *there: str, lists: bool = True, broken: bool = False) -> None:
        self.there = {*there}
        self.lists = lists
        self.broken = broken
        self.commands: list[list[str]] = []
        self.policy = Path(tempfile.mkdtemp()) / "policy-rc.d"
        self.policies: list[str | None] = []
        """What packages would have been told about starting services, at each command."""

    def find(self, name: str) -> str | None:
        return f"/usr/bin/{name}" if name in self.there else None

    def run(self, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        self.commands.append(list(command))
        self.policies.append(self.policy.read_text() if self.policy.exists() else None)
        if command[1] == "update":
            self.lists = True
            return subprocess.CompletedProcess(command, 0, "", "")
        if not self.lists or self.broken:
            return subprocess.CompletedProcess(command, 100, "", "W: old\nE: Unable to locate package runc\n")
        self.there |= {name for name, package in DEBIAN_PACKAGES.items() if package in command}
        return subprocess.CompletedProcess(command, 0, "", "")

    def ensure(self, *names: str, root: bool = True) -> dict[str, str]:
        return ensure_system(
            names, RecordedProgress(), find=self.find, run=self.run, root=root, policy=self.policy
        )


def test_what_is_there_is_not_installed() -> None:
    machine = Debian("ip", "nft")
    assert machine.ensure("ip", "nft") == {"ip": "/usr/bin/ip", "nft": "/usr/bin/nft"}
    assert machine.commands == []


def test_only_what_is_missing_is_installed() -> None:
    machine = Debian("ip", "apt-get")
    machine.ensure("ip", "nft", "runc")
    (command,) = machine.commands
    assert command[-2:] == ["nftables", "runc"]


def test_package_lists_are_fetched_when_they_are_missing() -> None:
    machine = Debian("apt-get", lists=False)
    machine.ensure("runc")
    assert [command[1] for command in machine.commands] == ["install", "update", "install"]


def test_no_service_of_a_package_is_started() -> None:
    machine = Debian("apt-get")
    machine.ensure("haproxy")
    assert machine.policies == ["#!/bin/sh\nexit 101\n"]
    assert not machine.policy.exists()


def test_a_failed_install_leaves_no_policy_behind() -> None:
    machine = Debian("apt-get", broken=True)
    with pytest.raises(RemoteError):
        machine.ensure("haproxy")
    assert not machine.policy.exists()


def test_a_policy_that_is_there_is_kept() -> None:
    machine = Debian("apt-get")
    machine.policy.write_text("#!/bin/sh\nexit 0\n")
    machine.ensure("haproxy")
    assert machine.policy.read_text() == "#!/bin/sh\nexit 0\n"


def test_without_root_the_command_is_named() -> None:
    with pytest.raises(UsageError, match="missing on this machine: runc, ptp") as caught:
        Debian("apt-get").ensure("runc", "ptp", root=False)
    assert caught.value.hint == "sudo apt-get install runc containernetworking-plugins"


def test_on_another_system_the_packages_are_named() -> None:
    with pytest.raises(UsageError) as caught:
        Debian().ensure("runc")
    assert "Debian: runc" in caught.value.hint


def test_a_failed_install_says_why() -> None:
    with pytest.raises(RemoteError, match="Unable to locate package runc"):
        Debian("apt-get", broken=True).ensure("runc")


def test_every_program_of_regions_has_a_package() -> None:
    assert len(packages_for(REGION_PROGRAMS)) == len(REGION_PROGRAMS)
