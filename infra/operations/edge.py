"""The local edge processes of pairs whose regions run on this machine."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from infra.components.args import EdgeArgs
from infra.components.edge import edge_texts
from infra.edge.process import EdgeFiles
from infra.operations.setting import Setting
from infra.program.inputs import edge_args
from vitalops.model.platform import FailoverPair, Platform
from vitalops.paths import Paths
from vitalops.ports.progress import Progress

AUTHORITY_FILE = "ca.crt"


def authority_file(setting: Setting) -> Path:
    """Where clients find the platform's certificate authority."""
    return setting.paths.state / "pki" / setting.platform.name / AUTHORITY_FILE


def write_authority(setting: Setting, certificate: str) -> Path:
    path = authority_file(setting)
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text() != certificate:
        temporary = path.with_suffix(".new")
        temporary.write_text(certificate)
        temporary.replace(path)
    return path


def bring_up_edge(setting: Setting, pair: FailoverPair, progress: Progress) -> str:
    """Start or reload the pair's edge on this machine. Returns what was done.

    Raises UsageError where its port is taken, RemoteError where the active region's gateway is not reached.
    """
    from infra.local.toolchain.system import ensure_system

    began = time.monotonic()
    name = f"edge {pair.name}"
    progress.step(name, f"{pair.edge.address}:{pair.edge.port}")
    program = ensure_system(("haproxy",), progress)["haproxy"]
    args: EdgeArgs = edge_args(setting.surroundings({}), pair.name)
    process = setting.edge_process(pair)
    process = replace(process, program=program)
    files = EdgeFiles(
        edge_texts(args, str(process.folder)),
        args.certificate.certificate + args.certificate.key,
        args.authority,
    )
    done = process.ensure(files)
    write_authority(setting, args.authority)
    progress.done(name, time.monotonic() - began)
    return done


def stop_edges(platform: Platform, paths: Paths, stopped: Iterable[str], progress: Progress) -> None:
    """End the edges that lead nowhere any more: those of pairs whose regions are all stopped."""
    gone = set(stopped)
    setting = Setting(platform, paths, tuple(platform.regions))
    for pair in setting.pairs:
        if setting.is_local(pair) and {pair.primary, pair.standby} <= gone:
            began = time.monotonic()
            if setting.edge_process(pair).stop():
                progress.done(f"edge {pair.name} stop", time.monotonic() - began)
