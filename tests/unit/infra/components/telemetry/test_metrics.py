"""Prometheus and Alertmanager of a region: what is compiled, what may be read, what restarts."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.components.args import RegionArgs
from infra.components.namespaces import mebibytes, quota
from infra.components.patroni import POSTGRES
from infra.components.telemetry import alertmanager, prometheus, scrape
from infra.components.telemetry.component import PARTS
from infra.components.telemetry.flows import telemetry_flows, webhook_ports
from infra.components.telemetry.rulefiles import MOST_BYTES, MOST_MAPS, packed
from infra.components.telemetry.sizes import SIZES, demands
from vitalops import conventions as c
from vitalops.errors import UsageError
from vitalops.model.platform import ClusterContext, Replicas
from vitalops.model.telemetry import Alerting, Webhook
from vitalops.slo.catalogue import CATALOGUE, HISTOGRAM_SUFFIXES

Region = Callable[[str], RegionArgs]
Golden = Callable[[Path | str, str], None]


def with_webhooks(args: RegionArgs) -> RegionArgs:
    alerting = Alerting(
        webhooks=(
            Webhook(name="on-call", url="https://on-call.example.org/alerts", severities=("page",)),
            Webhook(name="tickets", url="http://tickets.example.org:8080/in"),
        )
    )
    return dataclasses.replace(args, platform=args.platform.model_copy(update={"alerting": alerting}))


def elsewhere(args: RegionArgs) -> RegionArgs:
    """The same region on a cluster that is not of this machine."""
    cluster = ClusterContext(context="theirs", gateway_address="par.example.org:443")
    region = args.platform.regions[args.region].model_copy(update={"cluster": cluster})
    regions = {**args.platform.regions, args.region: region}
    return dataclasses.replace(
        args,
        platform=args.platform.model_copy(update={"regions": regions}),
        peer_address="gra.example.org:443",
    )


def jobs(args: RegionArgs) -> dict[str, Any]:
    return {job["job_name"]: job for job in scrape.configuration(args)["scrape_configs"]}


def relabelled(rules: list[dict[str, Any]], labels: dict[str, str]) -> dict[str, str] | None:
    """What Prometheus' relabelling makes of a target or sample; None where it is dropped."""
    found = dict(labels)
    for rule in rules:
        text = ";".join(found.get(name, "") for name in rule.get("source_labels", []))
        match = re.fullmatch(rule.get("regex", "(.*)"), text)
        match rule.get("action", "replace"):
            case "keep" if not match:
                return None
            case "drop" if match:
                return None
            case "labeldrop":
                found = {key: value for key, value in found.items() if not re.fullmatch(rule["regex"], key)}
            case "replace" if match:
                value = match.expand(re.sub(r"\$(\d)", r"\\\1", rule.get("replacement", "$1")))
                found[rule["target_label"]] = value
            case _:
                pass
    return {key: value for key, value in found.items() if value}


def test_scrape_settings_of_a_region(region: Region, golden: Golden) -> None:
    golden("prometheus.yml", scrape.compile_scrape(region("fr-par")))


def test_alert_routing_with_webhooks(region: Region, golden: Golden) -> None:
    golden("alertmanager.yml", alertmanager.compile_alertmanager(with_webhooks(region("fr-par"))))


def test_every_job_of_the_conventions_is_scraped(region: Region) -> None:
    declared = {value for name, value in vars(c).items() if name.startswith("JOB_")}
    assert set(jobs(region("fr-par"))) == declared


def test_every_job_gives_region_and_pair_and_ends_in_time(region: Region) -> None:
    for name, job in jobs(region("fr-gra")).items():
        seen = relabelled(job["relabel_configs"][-2:], {})
        assert seen == {"region": "fr-gra", "pair": "france"}, name
        seconds = int(job["scrape_interval"].removesuffix("s"))
        assert int(job["scrape_timeout"].removesuffix("ms")) < seconds * 1000


def test_a_pod_is_found_by_its_port_and_labelled_by_what_it_is(region: Region) -> None:
    rules = jobs(region("fr-par"))[c.JOB_SERVICES]["relabel_configs"]
    meta = {
        "__meta_kubernetes_pod_container_port_name": "http",
        "__meta_kubernetes_pod_phase": "Running",
        "__meta_kubernetes_namespace": c.NAMESPACE_SERVICES,
        "__meta_kubernetes_pod_label_app_kubernetes_io_name": "records",
        "__meta_kubernetes_pod_name": "records-5d4ff6fb74-685mc",
    }
    seen = relabelled(rules, meta)
    assert seen is not None
    assert {key: seen[key] for key in ("namespace", "service", "pod", "region", "pair")} == {
        "namespace": c.NAMESPACE_SERVICES,
        "service": "records",
        "pod": "records-5d4ff6fb74-685mc",
        "region": "fr-par",
        "pair": "france",
    }
    assert relabelled(rules, {**meta, "__meta_kubernetes_pod_phase": "Succeeded"}) is None
    assert relabelled(rules, {**meta, "__meta_kubernetes_pod_container_port_name": "other"}) is None


@pytest.mark.parametrize(
    ("proxy", "service", "traffic"),
    [
        ("records", "records", "real"),
        ("records.synthetic", "records", "synthetic"),
        ("media", "media", "real"),
    ],
)
def test_the_gateway_tells_synthetic_from_real_traffic(
    proxy: str, service: str, traffic: str, region: Region
) -> None:
    rules = jobs(region("fr-par"))[c.JOB_GATEWAY]["metric_relabel_configs"]
    sample = {"__name__": "haproxy_backend_http_responses_total", "proxy": proxy, "code": "5xx"}
    seen = relabelled(rules, sample)
    assert seen is not None
    assert (seen["proxy"], seen["traffic"]) == (service, traffic)
    assert relabelled(rules, {**sample, "proxy": "rate_by_source"}) is None


@pytest.mark.parametrize(
    ("pod", "service"),
    [
        ("records-5d4ff6fb74-685mc", "records"),
        ("log-collector-qj6fd", "log-collector"),
        ("prometheus-0", "prometheus"),
        ("postgres-fr-par-0", POSTGRES),
    ],
)
def test_container_metrics_are_a_pods_and_name_its_service(pod: str, service: str, region: Region) -> None:
    rules = jobs(region("fr-par"))[c.JOB_CONTAINERS]["metric_relabel_configs"]
    sample = {
        "__name__": "container_memory_working_set_bytes",
        "namespace": "vitalops-services",
        "pod": pod,
        "id": "/kubepods/burstable/pod0160",
    }
    seen = relabelled(rules, sample)
    assert seen is not None
    assert seen["service"] == service
    assert "id" not in seen
    assert relabelled(rules, {**sample, "container": "app"}) is None, "counted with its pod"
    assert relabelled(rules, {**sample, "pod": ""}) is None, "a slice"
    assert relabelled(rules, {**sample, "namespace": "another-tenant"}) is None


def test_kubelets_are_verified_where_their_authority_is_known(region: Region) -> None:
    local = jobs(region("fr-par"))[c.JOB_KUBELET]["tls_config"]
    assert local.keys() == {"ca_file"}
    other = jobs(elsewhere(region("fr-par")))
    assert other[c.JOB_KUBELET]["tls_config"] == {"insecure_skip_verify": True}
    unverified = {name for name, job in other.items() if "insecure_skip_verify" in str(job)}
    assert unverified == {c.JOB_KUBELET, c.JOB_CONTAINERS}


def test_the_peer_is_asked_as_the_edge_asks_it(region: Region) -> None:
    job = jobs(region("fr-par"))[c.JOB_PEER]
    assert job["static_configs"] == [{"targets": [f"10.201.2.2:{c.NODE_PORT_GATEWAY}"]}]
    assert (job["scheme"], set(job["tls_config"])) == ("https", {"ca_file", "server_name"})
    assert (relabelled(job["relabel_configs"], {}) or {})["peer"] == "fr-gra"
    other = jobs(elsewhere(region("fr-par")))[c.JOB_PEER]
    assert other["static_configs"] == [{"targets": ["gra.example.org:443"]}]


def test_prometheus_reads_no_secret_and_enters_no_pod(region: Region) -> None:
    role = prometheus.cluster_role(region("fr-par"))
    granted = {
        (resource, verb)
        for rule in role["rules"]
        for resource in rule.get("resources", [])
        for verb in rule["verbs"]
    }
    assert {verb for _, verb in granted} <= {"get", "list", "watch"}
    assert not {"secrets", "configmaps", "pods/exec", "pods/log", "nodes/proxy", "*"} & {
        name for name, _ in granted
    }


def test_changed_rules_and_routes_restart_nothing(region: Region) -> None:
    args = region("fr-par")
    tier = args.platform.tiers["critical"]
    changed = {**args.platform.tiers, "critical": tier.model_copy(update={"window_days": 7})}
    other = dataclasses.replace(
        with_webhooks(args), platform=with_webhooks(args).platform.model_copy(update={"tiers": changed})
    )
    assert prometheus.prometheus_objects(args) != prometheus.prometheus_objects(other)
    assert prometheus.workloads(args) == prometheus.workloads(other)
    assert alertmanager.workloads(args) == alertmanager.workloads(other)


def test_retention_follows_the_platform(region: Region) -> None:
    args = region("fr-par")
    flags = prometheus.flags(args)
    assert f"--storage.tsdb.retention.time={args.platform.telemetry.retention_days}d" in flags
    size = next(flag for flag in flags if flag.startswith("--storage.tsdb.retention.size="))
    assert int(re.sub(r"\D", "", size)) < mebibytes(args.platform.telemetry.storage)
    assert not [flag for flag in flags if "lifecycle" in flag or "admin-api" in flag]


def test_rules_are_spread_over_config_maps_in_order() -> None:
    files = {f"{index:02}.yaml": "x" * 40 for index in range(10)}
    maps = packed(files, "fr-par", limit=100)
    assert len(maps) == 5
    assert {name: text for each in maps for name, text in each.items()} == files
    assert packed({}, "fr-par") == ({},)


def test_rules_that_fit_nowhere_are_refused_in_one_line() -> None:
    with pytest.raises(UsageError, match=r"region fr-par: the rules in records\.yaml are .* bytes long"):
        packed({"records.yaml": "x" * (MOST_BYTES + 1)}, "fr-par")
    with pytest.raises(UsageError, match=f"{MOST_MAPS} can be mounted"):
        packed({f"{index}.yaml": "x" * 90 for index in range(MOST_MAPS + 1)}, "fr-par", limit=100)


def test_without_a_webhook_alerts_are_kept(region: Region) -> None:
    made = alertmanager.configuration(region("fr-par"))
    assert made["route"]["receiver"] == alertmanager.KEPT
    assert made["route"]["routes"] == []
    assert made["receivers"] == [{"name": alertmanager.KEPT}]


def test_a_page_waits_less_than_its_time_allows(region: Region) -> None:
    # 52 s of burn at 99.9 %, one scrape, one evaluation, and the group's wait: 75 s at most.
    args = with_webhooks(region("fr-par"))
    interval = args.platform.telemetry.scrape_interval_seconds
    pages = [
        route
        for route in alertmanager.configuration(args)["route"]["routes"]
        if f'severity="{c.SEVERITY_PAGE}"' in route["matchers"]
    ]
    assert {route["receiver"] for route in pages} == {"on-call", "tickets"}
    for route in pages:
        assert 52 + 2 * interval + int(route["group_wait"].removesuffix("s")) <= 75
        assert route["continue"] is True
    assert int(alertmanager.GROUP_INTERVAL.removesuffix("s")) <= 60, "the end is said within six minutes"


def test_a_ticket_reaches_only_who_wants_tickets(region: Region) -> None:
    routes = alertmanager.configuration(with_webhooks(region("fr-par")))["route"]["routes"]
    tickets = [route for route in routes if f'severity="{c.SEVERITY_TICKET}"' in route["matchers"]]
    assert [route["receiver"] for route in tickets] == ["tickets"]


def test_that_something_cannot_be_measured_hides_nothing(region: Region) -> None:
    text = str(alertmanager.inhibitions())
    assert c.ALERT_SLI_ABSENT not in text
    assert c.ALERT_WATCHDOG not in text


def test_a_webhook_of_the_suite_itself_is_trusted_by_the_platforms_authority(region: Region) -> None:
    args = with_webhooks(region("fr-par"))
    first, *others = args.platform.alerting.webhooks
    mine = Alerting(webhooks=(first.model_copy(update={"trust": "platform"}), *others))
    trusting = dataclasses.replace(args, platform=args.platform.model_copy(update={"alerting": mine}))
    receivers = alertmanager.configuration(trusting)["receivers"][1:]
    trusted = [each["webhook_configs"][0]["http_config"].get("tls_config") for each in receivers]
    assert trusted == [{"ca_file": f"{alertmanager.TOKEN_FOLDER}/ca.crt"}, *(None for _ in others)]

    def kept(of: RegionArgs) -> dict[str, str]:
        (found,) = (each for each in alertmanager.alertmanager_objects(of) if each["kind"] == "Secret")
        return found.get("stringData") or found["data"]

    assert set(kept(args)) == {"token"}
    assert set(kept(trusting)) == {"token", "ca.crt"}


def test_the_webhooks_token_is_in_a_file_of_a_secret_only(region: Region) -> None:
    args = with_webhooks(region("fr-par"))
    token = args.secrets.webhook_token
    for manifest in (*alertmanager.alertmanager_objects(args), *alertmanager.workloads(args)):
        if manifest["kind"] != "Secret":
            assert token not in str(manifest)
    receiver = alertmanager.configuration(args)["receivers"][1]["webhook_configs"][0]
    assert receiver["http_config"]["authorization"]["credentials_file"] == alertmanager.TOKEN_FILE


def test_alerts_may_leave_for_the_webhooks_only(region: Region) -> None:
    assert webhook_ports(["https://a.example", "http://b.example:8080/x", "http://c.example"]) == (
        80,
        443,
        8080,
    )
    names = {(p["metadata"]["namespace"], p["metadata"]["name"]) for p in telemetry_flows(region("fr-par"))}
    assert (c.NAMESPACE_TELEMETRY, c.ALERTMANAGER_SERVICE) not in names
    policies = {p["metadata"]["name"]: p["spec"] for p in telemetry_flows(with_webhooks(region("fr-par")))}
    egress = policies[c.ALERTMANAGER_SERVICE]["egress"]
    assert [port["port"] for rule in egress for port in rule["ports"]] == [443, 8080]


def test_what_is_scraped_lets_prometheus_in(region: Region) -> None:
    args = region("fr-par")
    policies = [p for p in telemetry_flows(args) if p["metadata"]["name"] == "scraped-by-prometheus"]
    # The S3 server has nothing to show: how backups fare is shown beside the databases.
    assert {p["metadata"]["namespace"] for p in policies} == set(c.NAMESPACES) - {c.NAMESPACE_BACKUPS}
    for each in policies:
        peers = [peer for rule in each["spec"]["ingress"] for peer in rule["from"]]
        assert [p["podSelector"]["matchLabels"][c.LABEL_NAME] for p in peers] == [c.PROMETHEUS_SERVICE]


def test_local_telemetry_answers_the_node_only(region: Region) -> None:
    def asked(args: RegionArgs) -> set[str]:
        policies = {p["metadata"]["name"]: p["spec"] for p in telemetry_flows(args)}
        peers = policies[f"{c.PROMETHEUS_SERVICE}-asked"]["ingress"][0]["from"]
        return {peer["ipBlock"]["cidr"] for peer in peers if "ipBlock" in peer}

    assert asked(region("fr-par")) == {"10.201.1.2/32"}
    assert "0.0.0.0/0" in asked(elsewhere(region("fr-par")))


def test_the_quota_has_room_for_all_parts(region: Region) -> None:
    args = region("fr-par")
    assert {part.name for part in PARTS} <= set(SIZES)
    hard = quota(c.NAMESPACE_TELEMETRY, args)["spec"]["hard"]
    needed = sum(mebibytes(size.memory) * count for size, count in demands(c.NAMESPACE_TELEMETRY, args))
    assert mebibytes(hard["limits.memory"]) >= needed


def test_compiled_settings_are_yaml_with_nothing_secret(region: Region) -> None:
    args = with_webhooks(region("fr-par"))
    for text in (scrape.compile_scrape(args), alertmanager.compile_alertmanager(args)):
        assert yaml.safe_load(text)
        assert args.secrets.webhook_token not in text


def test_no_metric_that_an_objective_may_use_is_dropped(region: Region) -> None:
    found = jobs(region("fr-par"))
    for metric in CATALOGUE.values():
        rules = found[metric.job]["metric_relabel_configs"]
        for suffix in HISTOGRAM_SUFFIXES if metric.bounds else ("",):
            assert relabelled(rules, {"__name__": metric.name + suffix}) is not None, metric.name


def test_no_metric_that_a_dashboard_asks_the_cluster_for_is_dropped(region: Region) -> None:
    found = jobs(region("fr-par"))
    for job, name in (
        (c.JOB_CONTAINERS, "container_cpu_usage_seconds_total"),
        (c.JOB_CONTAINERS, "container_memory_working_set_bytes"),
        (c.JOB_TELEMETRY, "prometheus_tsdb_head_series"),
        (c.JOB_TELEMETRY, "prometheus_rule_group_last_duration_seconds"),
        (c.JOB_TELEMETRY, "process_resident_memory_bytes"),
    ):
        sample = {"__name__": name, "pod": "records-5d4ff6fb74-685mc", "namespace": c.NAMESPACE_SERVICES}
        assert relabelled(found[job]["metric_relabel_configs"], sample) is not None, name


def test_prometheus_grows_with_what_it_scrapes(region: Region) -> None:
    args = region("fr-par")
    many = {
        name: service.model_copy(update={"replicas": Replicas(minimum=2, maximum=10)})
        for name, service in args.platform.services.items()
    }
    grown = dataclasses.replace(args, platform=args.platform.model_copy(update={"services": many}))

    def limit(made: RegionArgs) -> int:
        (workload,) = prometheus.workloads(made)
        (container,) = workload["spec"]["template"]["spec"]["containers"]
        return mebibytes(container["resources"]["limits"]["memory"])

    assert limit(args) == 384
    assert limit(grown) > 4 * limit(args)
    hard = quota(c.NAMESPACE_TELEMETRY, grown)["spec"]["hard"]
    assert mebibytes(hard["limits.memory"]) >= limit(grown)
