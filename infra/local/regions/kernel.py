"""Settings of the machine's kernel that a kubelet changes when it starts: it takes the whole machine for its own, and
would have it reboot after a kernel fault. They are remembered before the first kubelet and put back once it is up."""

from __future__ import annotations

import json
import os
from pathlib import Path

SETTINGS = (
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)
"""What setupKernelTunables in k8s.io/kubernetes/pkg/kubelet/cm sets."""

PROC = Path("/proc/sys")
RECORD = Path("/run/lock/vitalops-kernel.json")
"""One for the machine, from the first region's start to the last one's stop."""


def remember(record: Path = RECORD, proc: Path = PROC) -> None:
    """Writes the settings down, unless they are: another region's kubelet may have changed them since."""
    values = {name: (proc / name).read_text().strip() for name in SETTINGS if (proc / name).exists()}
    partial = record.with_name(f"{record.name}.{os.getpid()}")
    partial.write_text(json.dumps(values))
    try:
        os.link(partial, record)
    except FileExistsError:
        pass
    finally:
        partial.unlink()


def restore(record: Path = RECORD, proc: Path = PROC) -> None:
    """Puts back what was written down, where it differs. Does nothing without a record."""
    try:
        values: dict[str, str] = json.loads(record.read_text())
    except FileNotFoundError:
        return
    for name in SETTINGS:
        file = proc / name
        if name in values and file.exists() and file.read_text().strip() != values[name]:
            file.write_text(values[name])


def forget(record: Path = RECORD) -> None:
    """After the last region: the next first start looks anew."""
    record.unlink(missing_ok=True)
