"""More replicas: never more than there is room for, and whoever owns their number is asked."""

from __future__ import annotations

from decimal import Decimal

import pytest

from runbooks.common.capacity import quantity, requests
from runbooks.scale_out import RUNBOOK, ScaleParameters, _from_alert
from tests.unit.runbooks.clusters import DeployingCluster
from tests.unit.runbooks.drive import Drive
from vitalops.conventions import NAMESPACE_SERVICES
from vitalops.errors import GateFailed, UsageError
from vitalops.model.platform import Platform
from vitalops.ports.fakes import FakeRunning

PATH = f"/apis/apps/v1/namespaces/{NAMESPACE_SERVICES}/deployments/scheduling"
AUTOSCALER = f"/apis/autoscaling/v2/namespaces/{NAMESPACE_SERVICES}/horizontalpodautoscalers/scheduling"


def cluster(cpu: str = "1", quota: str = "") -> DeployingCluster:
    """One node; a pod of scheduling asks for 100m and 128Mi."""
    made = DeployingCluster("fr-par")
    made.deploy(NAMESPACE_SERVICES, "scheduling", "services:1")
    ready = [{"type": "Ready", "status": "True"}]
    made.objects["/api/v1/nodes/one"] = {
        "metadata": {"name": "one"},
        "status": {"allocatable": {"cpu": cpu, "memory": "4Gi", "pods": "110"}, "conditions": ready},
    }
    busy = {"name": "busy", "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}}}
    made.objects["/api/v1/pods/busy"] = {
        "metadata": {"name": "busy"},
        "spec": {"nodeName": "one", "containers": [busy]},
        "status": {"phase": "Running"},
    }
    made.objects[f"/api/v1/namespaces/{NAMESPACE_SERVICES}/resourcequotas/quota"] = {
        "metadata": {"name": "quota"},
        "status": {"hard": {"requests.cpu": quota or "10"}, "used": {"requests.cpu": "900m"}},
    }
    return made


def drive(platform: Platform, made: DeployingCluster, replicas: int = 0) -> Drive:
    parameters = ScaleParameters(service="scheduling", region="fr-par", replicas=replicas)
    return Drive(RUNBOOK, parameters, FakeRunning(platform, clusters={"fr-par": made}))


def test_one_more_than_there_are(platform: Platform) -> None:
    made = cluster()
    run = drive(platform, made).run()
    assert made.objects[PATH]["spec"]["replicas"] == 2
    assert run.outputs["room"]["room"] == 5
    assert not run.check("scale").needed
    run.undo("scale")
    assert made.objects[PATH]["spec"]["replicas"] == 1
    run.undo("scale")
    assert made.objects[PATH]["spec"]["replicas"] == 1


def test_the_wanted_number_stays_the_same_after_a_crash(platform: Platform) -> None:
    made = cluster()
    run = drive(platform, made)
    run.apply("room")
    for _ in range(2):
        run.step("scale").apply(run.context("scale"))
    assert made.objects[PATH]["spec"]["replicas"] == 2


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (cluster(cpu="700m"), "room for 2 more pods of scheduling, not for 3: the nodes' cpu"),
        (cluster(quota="1100m"), "room for 2 more pods of scheduling, not for 3: the quota of requests.cpu"),
    ],
)
def test_no_room_is_told_and_nothing_is_done(platform: Platform, made: DeployingCluster, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        drive(platform, made, 4).run()
    assert made.objects[PATH]["spec"]["replicas"] == 1


def test_fewer_is_not_out(platform: Platform) -> None:
    made = cluster()
    made.deploy(NAMESPACE_SERVICES, "scheduling", "services:1")
    made.objects[PATH]["spec"]["replicas"] = 3
    with pytest.raises(UsageError, match="has 3 replicas already"):
        drive(platform, made, 2).check("room")


def test_an_autoscaler_is_asked(platform: Platform) -> None:
    made = cluster()
    made.objects[AUTOSCALER] = {
        "metadata": {"name": "scheduling"},
        "spec": {"minReplicas": 1, "maxReplicas": 2},
    }
    run = drive(platform, made, 3)
    run.apply("room")
    with pytest.raises(GateFailed, match="its autoscaler has not acted yet after 300 s"):
        run.apply("scale")
    assert made.objects[AUTOSCALER]["spec"] == {"minReplicas": 3, "maxReplicas": 3}
    made.request("PATCH", PATH, body={"spec": {"replicas": 3}})  # as the autoscaler does
    run.apply("scale")
    run.undo("scale")
    assert made.objects[AUTOSCALER]["spec"] == {"minReplicas": 1, "maxReplicas": 2}
    assert made.objects[PATH]["spec"]["replicas"] == 1


def test_pods_that_do_not_become_ready_fail_it(platform: Platform) -> None:
    made = cluster()
    run = drive(platform, made)
    run.apply("room")
    made.unready = {"services:1"}
    with pytest.raises(GateFailed, match="pods are made after 300 s"):
        run.apply("scale")


def test_it_answers_the_alerts_whose_runbook_it_is(platform: Platform) -> None:
    labels = {"runbook": "scale-out", "service": "scheduling", "region": "fr-par"}
    assert _from_alert(labels, platform) == ScaleParameters(service="scheduling", region="fr-par")
    assert _from_alert({**labels, "runbook": "queue-drain"}, platform) is None


def test_quantities_and_requests() -> None:
    assert [quantity(each) for each in ("250m", "2", "128Mi", "1Gi", 3)] == [
        Decimal("0.25"),
        2,
        128 * 2**20,
        2**30,
        3,
    ]
    spec = {
        "containers": [{"resources": {"requests": {"cpu": "100m"}}}, {}],
        "initContainers": [{"resources": {"requests": {"cpu": "1", "memory": "1Mi"}}}],
    }
    assert requests(spec) == {"cpu": 1, "memory": 2**20, "pods": 1}
