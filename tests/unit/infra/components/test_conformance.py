"""What holds for every object of every component, whatever the component."""

from __future__ import annotations

import base64
import dataclasses
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from infra.components.args import EdgeArgs, RegionArgs
from infra.engines.graph import record
from infra.engines.manifests import Desired, desired_objects
from infra.program.inputs import Surroundings
from infra.program.stacks import PROJECT, edge_program, region_program
from vitalops import conventions as c

Objects = tuple[Desired, ...]


@pytest.fixture(scope="module", params=["fr-par", "fr-gra", "fr-gra with Grafana"])
def objects(
    request: pytest.FixtureRequest, region: Callable[[str], RegionArgs], grafana: RegionArgs
) -> Objects:
    args = grafana if "Grafana" in request.param else region(request.param)
    return desired_objects(record(region_program(args), project=PROJECT, stack=args.stack))


def pod_templates(objects: Objects) -> Iterator[tuple[str, dict[str, Any]]]:
    for node in objects:
        if node.key.kind in ("Deployment", "StatefulSet", "Job"):
            yield str(node.key), node.manifest["spec"]["template"]["spec"]


def containers(pod: dict[str, Any]) -> list[dict[str, Any]]:
    return [*pod.get("initContainers", []), *pod["containers"]]


def test_there_are_pods_to_check(objects: Objects) -> None:
    assert len(list(pod_templates(objects))) >= 12


def test_every_pod_conforms_to_pod_security_restricted(objects: Objects) -> None:
    # https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
    allowed = {
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "persistentVolumeClaim",
        "projected",
        "secret",
    }
    for name, pod in pod_templates(objects):
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod), name
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["securityContext"]["runAsUser"] > 0, name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        for volume in pod.get("volumes", []):
            assert set(volume) - {"name"} <= allowed, name
        for container in containers(pod):
            security = container["securityContext"]
            assert security["allowPrivilegeEscalation"] is False, name
            assert security["capabilities"] == {"drop": ["ALL"]}, name
            assert "hostPort" not in json.dumps(container.get("ports", [])), name


def test_every_namespace_enforces_it(objects: Objects) -> None:
    namespaces = [node.manifest for node in objects if node.key.kind == "Namespace"]
    assert {item["metadata"]["name"] for item in namespaces} == set(c.NAMESPACES)
    for item in namespaces:
        # Only there may a pod read the node's own files.
        level = "privileged" if item["metadata"]["name"] == c.NAMESPACE_AGENTS else "restricted"
        assert item["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == level


def test_root_file_systems_are_read_only_and_memory_is_limited(objects: Objects) -> None:
    for name, pod in pod_templates(objects):
        for container in containers(pod):
            assert container["securityContext"]["readOnlyRootFilesystem"] is True, name
            assert container["resources"]["requests"].keys() >= {"cpu", "memory"}, name
            assert "memory" in container["resources"]["limits"], name


def test_what_runs_for_long_has_all_three_probes(objects: Objects) -> None:
    for name, pod in pod_templates(objects):
        if name.startswith("Job"):
            continue
        for container in pod["containers"]:
            assert container.keys() >= {"startupProbe", "readinessProbe", "livenessProbe"}, name


def test_all_images_come_from_the_arguments(
    objects: Objects, around: Surroundings, grafana: RegionArgs
) -> None:
    used = {container["image"] for _, pod in pod_templates(objects) for container in containers(pod)}
    assert used >= {around.images[name] for name in ("services", "database", "gateway", "media", "telemetry")}
    named = grafana.platform.telemetry.grafana
    assert named is not None
    assert used <= {*around.images.values(), named.image}


def test_only_patroni_and_prometheus_talk_to_the_api_server(objects: Objects) -> None:
    accounts = [node.manifest for node in objects if node.key.kind == "ServiceAccount"]
    automounted = {a["metadata"]["name"] for a in accounts if a["automountServiceAccountToken"]}
    assert automounted == {"postgres", "prometheus"}
    named = {(a["metadata"]["namespace"], a["metadata"]["name"]) for a in accounts}
    for node in objects:
        if node.key.kind in ("Deployment", "StatefulSet", "Job"):
            account = node.manifest["spec"]["template"]["spec"]["serviceAccountName"]
            # Never `default`, which the cluster makes itself and a plain create would collide with.
            assert (node.key.namespace, account) in named


def test_every_namespace_denies_by_default_and_can_resolve_names(objects: Objects) -> None:
    policies = {
        (n.key.namespace, n.key.name): n.manifest["spec"] for n in objects if n.key.kind == "NetworkPolicy"
    }
    for namespace in c.NAMESPACES:
        deny = policies[namespace, "default-deny"]
        assert deny == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
        ports = policies[namespace, "allow-dns"]["egress"][0]["ports"]
        assert {(port["protocol"], port["port"]) for port in ports} == {("UDP", 53), ("TCP", 53)}


def secret_values(value: Any) -> Iterator[str]:
    """Every long text within a document of secrets, also inside JSON."""
    if isinstance(value, dict):
        for item in value.values():
            yield from secret_values(item)
    elif isinstance(value, list):
        for item in value:
            yield from secret_values(item)
    elif isinstance(value, str):
        try:
            yield from secret_values(json.loads(value))
        except ValueError:
            if len(value) >= 16:
                yield value


def test_no_secret_is_outside_a_secret(objects: Objects, region: Callable[[str], RegionArgs]) -> None:
    secrets = region("fr-par").secrets
    private = dataclasses.asdict(secrets.database) | {
        "media": secrets.media_secret,
        "key": secrets.gateway.key,
    }
    del private["server"]["certificate"]
    files = {
        f"{service}/{name}": text
        for service, kept in secrets.service_files.items()
        for name, text in kept.items()
        if name not in ("livekit-api-key", "clients.json")
    }
    wanted = set(secret_values(private)) | set(secret_values(files))
    wanted -= {key.kid for key in secrets.token_keys}
    assert len(wanted) >= 20
    public = json.dumps([node.manifest for node in objects if node.key.kind != "Secret"])
    kids = {entry["kid"] for entry in json.loads(files["prescription/prescription-signing-keys.json"])}
    for value in wanted - kids:
        assert value not in public
        assert json.dumps(value)[1:-1] not in public


def test_objects_of_a_stack_are_found_by_its_label(objects: Objects) -> None:
    for node in objects:
        labels = node.manifest["metadata"]["labels"]
        assert labels[c.LABEL_STACK] == f"region-{node.cluster}"
        assert labels[c.LABEL_REGION] == node.cluster


def test_what_a_pod_mounts_is_declared_and_comes_first(objects: Objects) -> None:
    by_urn = {node.urn: node for node in objects}
    declared = {(n.key.kind, n.key.namespace, n.key.name) for n in objects}

    def before(node: Desired) -> set[str]:
        found: set[str] = set()
        todo = list(node.after)
        while todo:
            urn = todo.pop()
            if urn not in found:
                found.add(urn)
                todo += by_urn[urn].after
        return found

    for node in objects:
        if node.key.kind not in ("Deployment", "StatefulSet", "Job"):
            continue
        text = json.dumps(node.manifest["spec"]["template"]["spec"]["volumes"])
        earlier = {
            (by_urn[urn].key.kind, by_urn[urn].key.namespace, by_urn[urn].key.name) for urn in before(node)
        }
        for kind, namespace, name in declared:
            if kind not in ("ConfigMap", "Secret") or namespace != node.key.namespace:
                continue
            needed = f'"{"secretName" if kind == "Secret" else "name"}": "{name}"' in text
            if needed:
                assert (kind, namespace, name) in earlier, (node.key, kind, name)


def test_an_edge_has_the_same_objects_in_both_regions(edge: EdgeArgs) -> None:
    made = desired_objects(record(edge_program(edge), project=PROJECT, stack=edge.stack))
    assert {(n.cluster, n.key.kind) for n in made} == {
        (cluster, kind) for cluster in ("fr-par", "fr-gra") for kind in ("ConfigMap", "Secret")
    }
    key = edge.certificate.key
    assert key not in json.dumps([n.manifest for n in made if n.key.kind == "ConfigMap"])
    secret = next(n.manifest for n in made if n.key.kind == "Secret")
    assert key in base64.b64decode(secret["data"]["edge.pem"]).decode()
