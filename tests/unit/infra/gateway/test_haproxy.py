"""The compiled gateway and edge, as text and to HAProxy's own eyes."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.components import edge as edge_component
from infra.components import gateway
from infra.components.args import EdgeArgs, RegionArgs
from infra.gateway.edge import EdgeConfig, compile_edge, compile_map
from infra.gateway.haproxy import CONFIG_FOLDER, GatewayConfig, compile_gateway
from vitalops.model.platform import EdgeListener, Platform
from vitalops.revocation import map_text

HAPROXY = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin")


def config(platform: Platform, *, key_ids: tuple[str, ...] = ("k1", "k2")) -> GatewayConfig:
    return GatewayConfig(
        region="fr-par",
        issuer="https://localhost:8443/identity",
        key_ids=key_ids,
        services=tuple(platform.services.values()),
        media_host="livekit.vitalops-media.svc.cluster.local",
        service_domain="vitalops-services.svc.cluster.local",
    )


def edge_config(folder: str) -> EdgeConfig:
    regions = {"fr-par": "10.201.1.2:30443", "fr-gra": "10.201.2.2:30443"}
    return EdgeConfig("france", EdgeListener(port=8443), regions, folder, drain_seconds=1800)


def test_gateway(platform: Platform, golden: Callable[[str, str], None]) -> None:
    golden("gateway.cfg", compile_gateway(config(platform)))


def test_edge(golden: Callable[[str, str], None]) -> None:
    golden("edge.cfg", compile_edge(edge_config("/run/vitalops/edge/france")))


def test_the_map_alone_says_which_region_is_active() -> None:
    assert compile_map(edge_config("/f"), "fr-gra") == "active fr-gra\ncalls -\nhold 0\n"
    text = compile_edge(edge_config("/f"))
    assert "use_backend region_%[var(txn.region)]" in text
    assert "default_backend" not in text
    assert " backup" not in text


def test_edge_refuses_a_stranger_as_active() -> None:
    with pytest.raises(ValueError, match="ch-gva"):
        compile_map(edge_config("/f"), "ch-gva")


def test_every_token_rule_comes_before_any_route(platform: Platform) -> None:
    lines = compile_gateway(config(platform)).splitlines()
    first_route = next(n for n, line in enumerate(lines) if line.strip().startswith("use_backend"))
    assert max(n for n, line in enumerate(lines) if "jwt_verify" in line) < first_route


def test_log_line_holds_neither_query_nor_headers(platform: Platform) -> None:
    text = compile_gateway(config(platform))
    line = next(line for line in text.splitlines() if "log-format" in line)
    for leak in ("%HU", "%HQ", "%hr", "%r", "capture", "query", "authorization", "%{+Q}r"):
        assert leak not in line


@pytest.mark.skipif(HAPROXY is None, reason="haproxy is not installed")
def test_haproxy_accepts_the_gateway(region: Callable[[str], RegionArgs], tmp_path: Path) -> None:
    args = region("fr-par")
    for folder in ("tls", "authority", "keys", "denied"):
        (tmp_path / folder).mkdir()
    pair = args.secrets.gateway
    (tmp_path / "tls/gateway.pem").write_text(pair.certificate + pair.key)
    (tmp_path / "authority/ca.crt").write_text(args.secrets.authority)
    (tmp_path / "denied/denied.map").write_text(map_text({"7b4e": 1_800_000_000}))
    for key in args.secrets.token_keys:
        (tmp_path / f"keys/{key.kid}.pem").write_text(key.pem)
    accept(tmp_path, gateway.compiled(args).replace(CONFIG_FOLDER, str(tmp_path)))


@pytest.mark.skipif(HAPROXY is None, reason="haproxy is not installed")
def test_haproxy_accepts_the_edge(edge: EdgeArgs, tmp_path: Path) -> None:
    (tmp_path / "edge.pem").write_text(edge.certificate.certificate + edge.certificate.key)
    texts = edge_component.edge_texts(edge, str(tmp_path))
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    accept(tmp_path, texts["haproxy.cfg"])


def accept(folder: Path, text: str) -> None:
    assert HAPROXY is not None
    file = folder / "haproxy.cfg"
    file.write_text(text)
    checked = subprocess.run([HAPROXY, "-c", "-f", str(file)], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    assert "[WARNING]" not in checked.stderr, checked.stderr
