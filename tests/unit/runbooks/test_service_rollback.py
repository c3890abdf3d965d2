"""Rolling a service back: to what was ready, never past a schema that it could not live with."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from runbooks.service_rollback import RUNBOOK, RollbackParameters, _from_alert
from tests.unit.runbooks.clusters import DeployingCluster
from tests.unit.runbooks.drive import Drive
from vitalops.conventions import NAMESPACE_SERVICES
from vitalops.errors import GateFailed, UsageError
from vitalops.model.platform import Platform
from vitalops.ports.cluster import Executed
from vitalops.ports.fakes import FakeRunning
from vitalops.ports.metrics import Sample

PARAMETERS = RollbackParameters(service="records", region="fr-par")


def drive(
    platform: Platform, cluster: DeployingCluster, parameters: RollbackParameters = PARAMETERS
) -> Drive:
    return Drive(RUNBOOK, parameters, FakeRunning(platform, clusters={"fr-par": cluster}))


def says(lacks: list[str], breaking: dict[str, list[str]]) -> object:
    """The running release, asked what the older one lacks."""

    def execute(_: str, __: str, command: Sequence[str], ___: str) -> Executed:
        assert command[:5] == ["python3", "-m", "services.common.compatibility", "records", "--without"]
        assert list(command[5:]) == ["r0001", "r0002"]
        return Executed(0, json.dumps({"lacks": lacks, "breaking": breaking}) + "\n", "")

    return execute


def stuck(image: str = "services:2") -> DeployingCluster:
    """The newer release does not become ready; the older one's pods still serve."""
    cluster = DeployingCluster("fr-par", unready={image})
    cluster.deploy(NAMESPACE_SERVICES, "records", "services:1")
    cluster.deploy(NAMESPACE_SERVICES, "records", image)
    older = next(
        v["metadata"]["labels"]["pod-template-hash"]
        for v in cluster.objects.values()
        if v.get("spec", {}).get("template", {}).get("spec", {}).get("containers", [{}])[0].get("image")
        == "services:1"
        and "ownerReferences" in v["metadata"]
    )
    cluster.logs[f"records-schema-{older}"] = 'warming up\n["r0001", "r0002"]\n'
    cluster.deployed.clear()
    return cluster


def image_of(cluster: DeployingCluster) -> str:
    owner = cluster.objects[f"/apis/apps/v1/namespaces/{NAMESPACE_SERVICES}/deployments/records"]
    return str(owner["spec"]["template"]["spec"]["containers"][0]["image"])


def ready_pod(cluster: DeployingCluster) -> None:
    """The running release answers, so that it can be asked about its schema."""
    pod = next(
        v for k, v in cluster.objects.items() if f"/{NAMESPACE_SERVICES}/pods/records-" in k and "status" in v
    )
    pod["status"]["conditions"] = [{"type": "Ready", "status": "True"}]


def test_back_to_the_revision_whose_pods_are_ready(platform: Platform) -> None:
    cluster = stuck()
    ready_pod(cluster)
    cluster.executes = says(["r0003"], {})  # type: ignore[assignment]
    done = drive(platform, cluster).run()
    assert done.outputs["schema"]["lacks"] == ["r0003"]
    assert image_of(cluster) == "services:1"
    assert cluster.deployed == ["services:1"]
    assert not any("records-schema" in key and not key.endswith("/log") for key in cluster.objects)


def test_twice_is_once(platform: Platform) -> None:
    cluster = stuck()
    ready_pod(cluster)
    cluster.executes = says([], {})  # type: ignore[assignment]
    run = drive(platform, cluster).run("roll-back")
    assert not run.check("roll-back").needed
    run.step("roll-back").apply(run.context("roll-back"))
    assert cluster.deployed == ["services:1"]


def test_a_schema_that_breaks_the_older_release_stops_it(platform: Platform) -> None:
    cluster = stuck()
    ready_pod(cluster)
    cluster.executes = says(["r0003"], {"r0003": ["ALTER TABLE resource DROP COLUMN body"]})  # type: ignore[assignment]
    with pytest.raises(GateFailed, match=r"cannot live with migration r0003.*DROP COLUMN body"):
        drive(platform, cluster).run()
    assert cluster.deployed == []


def test_the_same_image_needs_no_look_at_the_schema(platform: Platform) -> None:
    cluster = DeployingCluster("fr-par")
    cluster.deploy(NAMESPACE_SERVICES, "records", "services:1", "c1")
    cluster.deploy(NAMESPACE_SERVICES, "records", "services:1", "c2")
    run = drive(platform, cluster, PARAMETERS.model_copy(update={"revision": 1})).run()
    assert not run.verdicts["schema"].needed
    assert run.outputs["roll-back"]["seconds"] == 0.0
    assert cluster.executed == []


def test_a_revision_that_does_not_become_ready_is_told_and_undone(platform: Platform) -> None:
    cluster = DeployingCluster("fr-par")
    cluster.deploy(NAMESPACE_SERVICES, "records", "services:1", "c1")
    cluster.deploy(NAMESPACE_SERVICES, "records", "services:1b", "c2")
    cluster.unready = {"services:1"}
    run = drive(platform, cluster, PARAMETERS.model_copy(update={"revision": 1}))
    run.apply("choose")
    with pytest.raises(GateFailed, match=r"records: .* after 300 s"):
        run.step("roll-back").apply(run.context("roll-back"))
    with pytest.raises(GateFailed):
        run.step("roll-back").verify(run.context("roll-back"))
    run.undo("roll-back")
    assert image_of(cluster) == "services:1b"
    run.undo("roll-back")
    assert cluster.deployed[-1] == "services:1b"


def test_what_prometheus_remembers_counts_as_ready(platform: Platform) -> None:
    cluster = DeployingCluster("fr-par")
    for number in (1, 2, 3):
        cluster.deploy(NAMESPACE_SERVICES, "records", "services:1", f"c{number}")
    run = drive(platform, cluster)
    with pytest.raises(UsageError, match="no other revision of records is known to have been ready"):
        run.check("choose")
    first = next(
        v["metadata"]["labels"]["pod-template-hash"]
        for v in cluster.objects.values()
        if v["metadata"].get("annotations", {}).get("deployment.kubernetes.io/revision") == "1"
    )
    query = (
        "max(max_over_time(http_server_request_duration_seconds_count"
        f'{{http_route="/readyz",http_response_status_code="200",pod=~"records-{first}-.*"}}[7d]))'
    )
    run.running.metrics("fr-par").instants[query] = (Sample({}, 12.0, datetime(2026, 1, 1, tzinfo=UTC)),)
    assert run.apply("choose")["to"] == first


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        (RollbackParameters(service="recods", region="fr-par"), "did you mean 'records'"),
        (RollbackParameters(service="records", region="paris"), "there is no region"),
        (RollbackParameters(service="gateway", region="fr-par"), "the gateway is its configuration"),
    ],
)
def test_what_there_is_not_is_refused_before_anything(
    platform: Platform, parameters: RollbackParameters, said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        RUNBOOK.targets(parameters, platform)


def test_one_revision_is_no_choice(platform: Platform) -> None:
    cluster = DeployingCluster("fr-par")
    cluster.deploy(NAMESPACE_SERVICES, "records", "services:1")
    with pytest.raises(UsageError, match="has only ever run as revision 1"):
        drive(platform, cluster).check("choose")
    with pytest.raises(UsageError, match="has no other revision 7"):
        drive(platform, cluster, PARAMETERS.model_copy(update={"revision": 7})).check("choose")


def test_it_answers_the_alerts_whose_runbook_it_is(platform: Platform) -> None:
    labels = {"runbook": "service-rollback", "service": "records", "region": "fr-par"}
    assert _from_alert(labels, platform) == PARAMETERS
    assert _from_alert({**labels, "runbook": "scale-out"}, platform) is None
    assert _from_alert({**labels, "service": "nobody"}, platform) is None
