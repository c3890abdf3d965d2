"""What is compiled for Jaeger, Loki and the log shipper, and what their pods may do."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import yaml

from infra.components.args import POD_LOGS, RegionArgs
from infra.components.telemetry import collector, logs, traces
from infra.components.telemetry.component import PARTS
from infra.local.regions.layout import layout
from infra.program.inputs import Surroundings, region_args
from vitalops import conventions as c
from vitalops.model.platform import Platform
from vitalops.observe.logs import MOST_LINES

Regions = Callable[[str], RegionArgs]


@pytest.fixture
def args(region: Regions) -> RegionArgs:
    return region("fr-par")


def pod(workload: dict[str, Any]) -> dict[str, Any]:
    return workload["spec"]["template"]["spec"]


def test_all_three_are_parts_of_every_region(args: RegionArgs) -> None:
    names = [part.name for part in PARTS if part.wanted(args)]
    assert {c.TRACES_SERVICE, c.LOGS_SERVICE, c.COLLECTOR} <= set(names)


def test_logs_are_kept_as_long_as_the_platform_says(args: RegionArgs) -> None:
    telemetry = args.platform.telemetry.model_copy(update={"log_retention_days": 30})
    longer = replace(args, platform=args.platform.model_copy(update={"telemetry": telemetry}))
    for given, hours in ((args, 7 * 24), (longer, 30 * 24)):
        limits = logs.configuration(given)["limits_config"]
        assert limits["retention_period"] == limits["reject_old_samples_max_age"] == f"{hours}h"
        # Whatever is kept may be asked for in one question.
        assert int(limits["max_query_length"].removesuffix("h")) >= hours
        # Half of this is how far a line may be behind its stream's newest.
        assert logs.configuration(given)["ingester"]["max_chunk_age"] == f"{2 * hours}h"
    assert logs.configuration(args)["compactor"]["retention_enabled"] is True


def test_only_labels_of_few_values_are_indexed(args: RegionArgs) -> None:
    (rule,) = logs.configuration(args)["limits_config"]["otlp_config"]["resource_attributes"][
        "attributes_config"
    ]
    assert rule == {"action": "index_label", "attributes": ["region", "service"]}
    retained = next(each for each in collector.operators(args) if each["type"] == "retain")["fields"]
    assert {"resource.region", "resource.service"} <= set(retained)


def test_one_answer_may_have_as_many_lines_as_the_command_asks_for() -> None:
    assert logs.MOST_LINES == MOST_LINES


def test_pods_are_recognised_by_the_longest_name(args: RegionArgs) -> None:
    known = next(each for each in collector.operators(args) if each.get("id") == "service")
    expression = re.compile(known["regex"])
    for name in collector.program_names(args):
        for pod_name in (f"{name}-7ff66f5865-z7tc5", f"{name}-0", name):
            found = expression.match(pod_name)
            assert found is not None
            assert found["service"] == name, pod_name
    assert expression.match("postgres-fr-par-0")["service"] == "postgres"  # pyright: ignore[reportOptionalSubscript]
    assert expression.match("recordsextra-0") is None


def test_a_name_that_begins_another_does_not_take_its_lines(args: RegionArgs) -> None:
    services = dict(args.platform.services)
    services["records-export"] = services["records"].model_copy(update={"name": "records-export"})
    more = replace(args, platform=args.platform.model_copy(update={"services": services}))
    known = next(each for each in collector.operators(more) if each.get("id") == "service")
    found = re.match(known["regex"], "records-export-7ff66f5865-z7tc5")
    assert found is not None
    assert found["service"] == "records-export"


@pytest.mark.parametrize(
    ("line", "level"),
    [
        ("2026-11-22 20:54:48.407 UTC [266] rewinder@postgres FATAL:  permission denied", "FATAL"),
        ("2026-11-22 20:20:28,915 INFO: no action. I am (postgres-fr-par-0), the leader", "INFO"),
        ("[NOTICE]   (1) : New worker (9) forked", "NOTICE"),
        ("ts=2026-11-22T20:20:28Z level=warn component=tsdb msg=x", "warn"),
        ("DETAIL:  User does not have CONNECT privilege.", None),
        ("Server prescription/prescription is UP/READY (resolves again).", None),
        ("a catalog of information", None),
    ],
)
def test_levels_of_lines_in_words(args: RegionArgs, line: str, level: str | None) -> None:
    rule = next(each for each in collector.operators(args) if each.get("id") == "level-of-text")
    found = re.search(rule["regex"], line)
    assert (found["level"] if found else None) == level


def test_the_shipper_reads_the_platforms_pods_and_not_itself(args: RegionArgs) -> None:
    receiver = collector.configuration(args)["receivers"]["file_log"]
    assert receiver["include"] == ["/var/log/pods/vitalops-*_*/*/*.log"]
    assert receiver["exclude"] == [f"/var/log/pods/{c.NAMESPACE_AGENTS}_*/*/*.log"]


def test_the_shipper_holds_on_while_nothing_takes_its_lines(args: RegionArgs) -> None:
    made = collector.configuration(args)
    exporter = made["exporters"]["otlp_http"]
    assert exporter["retry_on_failure"]["max_elapsed_time"] == "0s"
    assert exporter["sending_queue"]["block_on_overflow"] is True
    assert made["receivers"]["file_log"]["retry_on_failure"] == {"enabled": True, "max_elapsed_time": "0s"}
    host = f"{c.LOGS_SERVICE}.{c.NAMESPACE_TELEMETRY}:{c.LOGS_PORT}"
    assert exporter["logs_endpoint"] == f"http://{host}/otlp/v1/logs"


def test_local_regions_keep_their_pods_lines_apart(around: Surroundings, platform: Platform) -> None:
    folders = [region_args(around, name).pod_logs for name in ("fr-par", "fr-gra")]
    assert folders == [str(layout(platform, name, around.paths).pod_logs) for name in ("fr-par", "fr-gra")]
    assert folders[0] != folders[1]
    assert RegionArgs.__dataclass_fields__["pod_logs"].default == POD_LOGS == "/var/log/pods"


def test_the_shipper_can_read_the_node_and_nothing_more(args: RegionArgs) -> None:
    (made,) = collector.workloads(args)
    assert made["kind"] == "DaemonSet"
    assert made["metadata"]["namespace"] == c.NAMESPACE_AGENTS
    inside = pod(made)
    assert inside["automountServiceAccountToken"] is False
    assert inside["securityContext"]["runAsNonRoot"] is True
    assert inside["securityContext"]["runAsUser"] == c.UID_TELEMETRY
    assert [volume["hostPath"]["path"] for volume in inside["volumes"] if "hostPath" in volume] == [
        args.pod_logs
    ]
    (container,) = inside["containers"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    mounts = {mount["name"]: mount for mount in container["volumeMounts"]}
    assert mounts["pod-logs"]["readOnly"] is True


@pytest.mark.parametrize("module", [traces, logs])
def test_the_stores_run_restricted(module: Any, args: RegionArgs) -> None:
    (made,) = module.workloads(args)
    assert made["metadata"]["namespace"] == c.NAMESPACE_TELEMETRY
    assert not any("hostPath" in volume for volume in pod(made)["volumes"])
    assert pod(made)["securityContext"]["runAsNonRoot"] is True
    assert pod(made)["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is True


def test_a_changed_setting_starts_a_new_pod(args: RegionArgs) -> None:
    telemetry = args.platform.telemetry.model_copy(update={"log_retention_days": 30})
    other = replace(args, platform=args.platform.model_copy(update={"telemetry": telemetry}))

    def annotation(given: RegionArgs) -> str:
        return logs.workloads(given)[0]["spec"]["template"]["metadata"]["annotations"][
            c.ANNOTATION_CONFIG_HASH
        ]

    assert annotation(args) != annotation(other)


def test_spans_come_in_from_services_alone_and_questions_from_operators(args: RegionArgs) -> None:
    policies = {each["metadata"]["name"]: each["spec"] for each in traces.flows(args)}
    (rule,) = policies[c.TRACES_SERVICE]["ingress"]
    assert [port["port"] for port in rule["ports"]] == [c.TRACES_OTLP_PORT]
    namespaces = {
        peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"] for peer in rule["from"]
    }
    assert namespaces == {c.NAMESPACE_SERVICES, c.NAMESPACE_GATEWAY, c.NAMESPACE_TELEMETRY}


def test_jaeger_is_bounded_and_listens_only_where_it_must() -> None:
    flags = traces.flags()
    assert f"--memory.max-traces={traces.MOST_TRACES}" in flags
    open_ports = {flag.rsplit(":", 1)[1] for flag in flags if "host-port=:" in flag}
    assert open_ports == {str(c.TRACES_OTLP_PORT), str(c.TRACES_QUERY_PORT), str(c.TRACES_METRICS_PORT)}


@pytest.mark.parametrize(
    ("name", "compiled"),
    [("loki.yaml", logs.compile_loki), ("log-collector.yaml", collector.compile_collector)],
)
def test_compiled_files(
    name: str,
    compiled: Callable[[RegionArgs], str],
    args: RegionArgs,
    golden: Callable[[str, str], None],
) -> None:
    text = compiled(args)
    assert yaml.safe_load(text)
    golden(name, text)
