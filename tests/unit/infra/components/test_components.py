"""What single components decide."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
import yaml

from infra.components import database, gateway, media, microservice, migrations, patroni
from infra.components.args import RegionArgs, Role
from infra.components.namespaces import cores, mebibytes, quota
from infra.components.policies import network_policies
from vitalops import conventions as c
from vitalops.errors import UsageError
from vitalops.model.platform import Component, Replicas

Region = Callable[[str], RegionArgs]


def test_standby_follows_the_primary_region_over_tls(region: Region) -> None:
    args = region("fr-gra")
    assert args.role is Role.STANDBY
    made = yaml.safe_load(patroni.compiled(args, "fr-par"))
    upstream = made["bootstrap"]["dcs"]["standby_cluster"]
    assert (upstream["host"], upstream["port"]) == (region("fr-par").node_address, c.NODE_PORT_POSTGRES)
    assert made["postgresql"]["authentication"]["replication"]["sslmode"] == "verify-full"
    assert made["kubernetes"]["standby_leader_label_value"] != made["kubernetes"]["leader_label_value"]


def test_primary_keeps_a_slot_for_the_standby_and_follows_nobody(region: Region) -> None:
    made = yaml.safe_load(patroni.compiled(region("fr-par"), "fr-gra"))
    dynamic = made["bootstrap"]["dcs"]
    assert "standby_cluster" not in dynamic
    assert "region_fr_gra" in dynamic["slots"]


def test_patroni_timing_obeys_its_own_rule(region: Region) -> None:
    dynamic = patroni.configuration(region("fr-par"), "fr-gra")["bootstrap"]["dcs"]
    assert dynamic["ttl"] >= dynamic["loop_wait"] + 2 * dynamic["retry_timeout"]


def test_unencrypted_connections_are_refused(region: Region) -> None:
    rules = patroni.configuration(region("fr-par"), "fr-gra")["postgresql"]["pg_hba"]
    assert "hostnossl all all all reject" in rules
    assert not [rule for rule in rules if rule.startswith("host ")]


def test_a_failover_does_not_restart_the_database(region: Region) -> None:
    standby = region("fr-gra")
    promoted = dataclasses.replace(standby, role=Role.PRIMARY)
    assert database.stateful_set(standby) == database.stateful_set(promoted)


def test_members_of_two_regions_have_different_names(region: Region) -> None:
    assert database.member_set(region("fr-par")) != database.member_set(region("fr-gra"))


def test_migrations_get_a_new_job_when_anything_changes(region: Region) -> None:
    args = region("fr-par")
    before = migrations.job(args)["metadata"]["name"]
    assert migrations.job(args)["metadata"]["name"] == before
    changed = dataclasses.replace(args, images={**args.images, "services": "registry.example/services:4567"})
    assert migrations.job(changed)["metadata"]["name"] != before


def test_setup_sql_never_holds_a_password(region: Region) -> None:
    args = region("fr-par")
    sql = migrations.setup_sql(migrations.with_database(args))
    assert not [password for password in args.secrets.database.services.values() if password in sql]
    assert sql.count("CREATE DATABASE") == 9


def test_an_autoscaler_owns_the_replicas(region: Region) -> None:
    args = region("fr-par")
    fixed = args.services[0]
    scaled = fixed.model_copy(update={"replicas": Replicas(minimum=2, maximum=5)})
    assert microservice.deployment(fixed, args)["spec"]["replicas"] == 1
    assert "replicas" not in microservice.deployment(scaled, args)["spec"]
    kinds = {item["kind"] for item in microservice.service_objects(scaled, args)}
    assert {"HorizontalPodAutoscaler", "PodDisruptionBudget"} <= kinds


def test_a_single_replica_does_not_block_drains(region: Region) -> None:
    args = region("fr-par")
    kinds = {item["kind"] for item in microservice.service_objects(args.services[0], args)}
    assert "PodDisruptionBudget" not in kinds


def test_a_changed_secret_rolls_the_pods(region: Region) -> None:
    args = region("fr-par")
    service = args.platform.services["records"]
    other = dataclasses.replace(
        args.secrets, service_files={**args.secrets.service_files, "records": {"client-secret": "another"}}
    )

    def template(a: RegionArgs) -> object:
        return microservice.deployment(service, a)["spec"]["template"]

    assert template(args) != template(dataclasses.replace(args, secrets=other))


def test_service_environment_names_what_it_depends_on(region: Region) -> None:
    args = region("fr-par")
    values = microservice.environment(args.platform.services["consultation"], args)
    assert values["VITALOPS_URL_SCHEDULING"] == "http://scheduling.vitalops-services:8080"
    assert values["VITALOPS_LIVEKIT_PUBLIC_URL"] == "wss://localhost:8443"
    assert values["VITALOPS_ISSUER"] == "https://localhost:8443/identity"
    assert "VITALOPS_URL_PAYMENT" not in values


def test_flows_follow_the_declared_dependencies(region: Region) -> None:
    policies = {p["metadata"]["name"]: p["spec"] for p in network_policies(region("fr-par"))}

    def callers(service: str) -> set[str]:
        peers = [peer for rule in policies[service]["ingress"] for peer in rule["from"]]
        return {peer["podSelector"]["matchLabels"][c.LABEL_NAME] for peer in peers}

    assert callers("consent") == {"records", "consultation", "gateway"}
    assert callers("consultation") == {"prescription", "gateway", "livekit"}
    assert "payment" not in callers("records")


def test_media_advertises_the_node_and_asks_no_public_server(region: Region) -> None:
    args = region("fr-gra")
    rtc = media.configuration(args)["rtc"]
    assert rtc["node_ip"] == "10.201.2.2"
    assert rtc["use_external_ip"] is False
    assert rtc["udp_port"] == c.NODE_PORT_MEDIA_UDP


def test_several_media_servers_are_refused_in_one_line(region: Region) -> None:
    args = region("fr-par")
    resources = args.platform.media.resources
    platform = args.platform.model_copy(update={"media": Component(replicas=2, resources=resources)})
    with pytest.raises(UsageError, match="2 media servers"):
        media.deployment(dataclasses.replace(args, platform=platform))


def test_a_rotated_token_key_rolls_the_gateway(region: Region) -> None:
    args = region("fr-par")
    fewer = dataclasses.replace(args, secrets=dataclasses.replace(args.secrets, token_keys=()))
    before, after = (gateway.deployment(a)["spec"]["template"]["metadata"] for a in (args, fewer))
    assert before["annotations"] != after["annotations"]


def test_quota_has_room_for_a_rolling_update(region: Region) -> None:
    args = region("fr-par")
    hard = quota(c.NAMESPACE_SERVICES, args)["spec"]["hard"]
    needed = sum(mebibytes(service.resources.memory) for service in args.services)
    assert mebibytes(hard["limits.memory"]) >= 2 * needed
    assert int(hard["pods"]) >= 2 * len(args.services)


@pytest.mark.parametrize(("text", "value"), [("250m", 0.25), ("2", 2.0), ("0.5", 0.5)])
def test_cores(text: str, value: float) -> None:
    assert cores(text) == value


@pytest.mark.parametrize(("text", "value"), [("512Mi", 512), ("2Gi", 2048), ("1500Ki", 2), ("1Ti", 1048576)])
def test_mebibytes(text: str, value: int) -> None:
    assert mebibytes(text) == value
