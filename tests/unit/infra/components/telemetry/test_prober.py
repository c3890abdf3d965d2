from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable

import pytest

from infra.components.args import RegionArgs
from infra.components.telemetry.prober import environment, files, flows, prober_objects, wanted, workloads
from vitalops import conventions as c
from vitalops.model.telemetry import Prober
from vitalops.pki import alternative_names
from vitalops.prober import variables as v
from vitalops.prober.settings import ProberSettings


@pytest.fixture
def active(region: Callable[[str], RegionArgs]) -> RegionArgs:
    return region("fr-par")


def probing(args: RegionArgs, prober: Prober) -> RegionArgs:
    telemetry = args.platform.telemetry.model_copy(update={"prober": prober})
    return dataclasses.replace(args, platform=args.platform.model_copy(update={"telemetry": telemetry}))


def test_only_the_active_region_probes_and_only_where_it_is_wanted(
    active: RegionArgs, region: Callable[[str], RegionArgs]
) -> None:
    assert wanted(active)
    assert not wanted(region("fr-gra"))
    assert not wanted(probing(active, Prober(enabled=False)))


def test_the_pod_holds_its_own_clients_secret_and_no_key(active: RegionArgs) -> None:
    assert files(active) == {"client-secret": active.secrets.prober, "ca.crt": active.secrets.authority}
    assert "PRIVATE KEY" not in json.dumps(files(active))
    others = {key: text for kept in active.secrets.service_files.values() for key, text in kept.items()}
    assert active.secrets.prober not in others.values()
    outside = [each for each in prober_objects(active) if each["kind"] != "Secret"] + workloads(active)
    assert active.secrets.prober not in json.dumps(outside)


def test_its_settings_can_be_read_and_lead_to_the_gateway_by_a_name_of_its_certificate(
    active: RegionArgs, tmp_path_factory: pytest.TempPathFactory
) -> None:
    given = environment(probing(active, Prober(interval_seconds=25)))
    secret = tmp_path_factory.mktemp("files") / "client-secret"
    secret.write_text(active.secrets.prober)
    settings = ProberSettings.from_environment(given | {v.SECRET_FILE: str(secret)})
    assert (settings.interval, settings.region) == (25.0, "fr-par")
    assert settings.target.url == active.public_url
    host = settings.target.via.removeprefix("https://").partition(":")[0]
    assert host in alternative_names(active.secrets.gateway.certificate)


def test_there_are_never_two_at_once_and_a_new_secret_starts_a_new_one(active: RegionArgs) -> None:
    (deployment,) = workloads(active)
    assert (deployment["spec"]["replicas"], deployment["spec"]["strategy"]) == (1, {"type": "Recreate"})
    renewed = dataclasses.replace(active, secrets=dataclasses.replace(active.secrets, prober="another"))
    annotations = [
        each["spec"]["template"]["metadata"]["annotations"] for each in (deployment, *workloads(renewed))
    ]
    assert annotations[0] != annotations[1]
    assert deployment["spec"]["template"]["spec"]["automountServiceAccountToken"] is False


@pytest.mark.parametrize(
    ("address", "cidrs"),
    [("10.201.1.2", {"10.201.1.2/32"}), ("node.example.org:443", {"0.0.0.0/0", "::/0"})],
)
def test_it_reaches_the_gateway_and_the_media_and_nothing_else(
    active: RegionArgs, address: str, cidrs: set[str]
) -> None:
    (policy,) = flows(dataclasses.replace(active, node_address=address))
    gateway, media = policy["spec"]["egress"]
    assert gateway["ports"] == [{"protocol": "TCP", "port": c.GATEWAY_PORT}]
    assert {(port["protocol"], port["port"]) for port in media["ports"]} == {
        ("UDP", c.NODE_PORT_MEDIA_UDP),
        ("TCP", c.NODE_PORT_MEDIA_TCP),
    }
    assert {peer["ipBlock"]["cidr"] for peer in media["to"] if "ipBlock" in peer} == cidrs
    (scrape,) = policy["spec"]["ingress"]
    assert scrape["ports"] == [{"protocol": "TCP", "port": c.PROBER_METRICS_PORT}]
