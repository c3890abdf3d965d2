"""Rehearsal of dns-outage: the edge's process is killed, and a DNS name leads to the wrong region."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from infra.traffic.dns import DnsDirector
from tests.cluster.conftest import ROOT, RunningPlatform, vitalops
from tests.cluster.runbooks.rehearsing import rehearse
from tests.cluster.traffic.nameservers import NAME, ZONE, director, server
from tests.cluster.traffic.talks import edge_of

pytestmark = pytest.mark.rehearsal


def test_a_killed_edge_is_started_again_where_it_led(running_platform: RunningPlatform) -> None:
    edge = edge_of(running_platform)
    pid, led = edge.process.pid(), edge.active()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    rehearse(running_platform, "dns-outage", "--pair", running_platform.pair.name)
    assert edge.fault() == ""
    assert edge.active() == led
    assert edge.process.pid() not in (None, pid)


def test_a_name_that_leads_elsewhere_is_led_back(
    running_platform: RunningPlatform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = running_platform.pair
    with server("named", tmp_path) as name:
        declared = _with_name(tmp_path, pair.name, name)
        monkeypatch.setenv("VITALOPS_PLATFORM", str(declared))
        secrets = running_platform.access.secrets
        kept = f"{pair.name}/dns/{name.record.key}"
        before = secrets.get(kept)
        theirs = name.secrets.get(kept)
        assert theirs is not None
        secrets.replace(kept, theirs)
        try:
            other = pair.standby if edge_of(running_platform).active() == pair.primary else pair.primary
            name.switch(other)
            assert other in vitalops("dns", "show", pair.name).stdout
            rehearse(running_platform, "dns-outage", "--pair", pair.name)
            assert name.active() == edge_of(running_platform).active() != other
            assert (
                vitalops("--yes", "runbook", "run", "dns-outage", "--pair", pair.name, "--dry-run").returncode
                == 0
            )
        finally:
            # The store has no way to forget a secret; one that nothing names does no harm.
            if before is not None:
                secrets.replace(kept, before)


def _with_name(folder: Path, pair: str, name: DnsDirector) -> Path:
    """The bundled platform with a DNS name for the pair, at the test's server."""
    assert director(name.record.port).record == name.record
    at, key = f"server: 127.0.0.1, port: {name.record.port}", f"key: {name.record.key}"
    line = f"    dns: {{{at}, zone: {ZONE}, name: {NAME}, {key}}}\n"
    text = (ROOT / "platform.yaml").read_text()
    begin = text.index(f"\n  {pair}:\n", text.index("\npairs:")) + len(f"\n  {pair}:\n")
    path = folder / "platform.yaml"
    path.write_text(text[:begin] + line + text[begin:])
    return path
