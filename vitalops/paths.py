"""Where the suite keeps things on this machine (XDG base directories, each overridable by one variable)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Paths:
    """cache: can be deleted and is made again; state: regions' data and secrets; run: sockets, pids."""

    cache: Path
    state: Path
    run: Path

    @staticmethod
    def from_environment() -> Paths:
        home = Path.home()
        cache = (
            os.environ.get("VITALOPS_CACHE")
            or f"{os.environ.get('XDG_CACHE_HOME') or home / '.cache'}/vitalops"
        )
        state = (
            os.environ.get("VITALOPS_STATE")
            or f"{os.environ.get('XDG_STATE_HOME') or home / '.local/state'}/vitalops"
        )
        # Regions need root and its /run; an edge on clusters elsewhere does not.
        runtime = None if os.geteuid() == 0 else os.environ.get("XDG_RUNTIME_DIR")
        run = os.environ.get("VITALOPS_RUN") or f"{runtime or '/run'}/vitalops"
        return Paths(cache=Path(cache), state=Path(state), run=Path(run))

    @property
    def toolchain(self) -> Path:
        return self.cache / "toolchain"

    @property
    def images(self) -> Path:
        return self.cache / "images"

    def region(self, name: str) -> Path:
        """A local region's lasting state: etcd, certificates, volumes, logs."""
        return self.state / "regions" / name

    def region_run(self, name: str) -> Path:
        """A local region's sockets and process records; gone after a reboot, as the processes are."""
        return self.run / name

    def kubeconfig(self, region: str) -> Path:
        return self.region(region) / "admin.kubeconfig"

    def secrets(self, platform: str) -> Path:
        return self.state / "secrets" / platform

    def operations(self, platform: str) -> Path:
        """Runs, locks, the journal and the kill switch of a platform."""
        return self.state / "operations" / platform

    def journal(self, platform: str) -> Path:
        return self.operations(platform) / "journal.jsonl"
