"""Whether an older release of a service can live with the schema that a newer one has made."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from typing import Any

from runbooks.common.waiting import wait_until
from runbooks.common.workloads import Revision, Workload, a_ready_pod
from runbooks.engine.model import StepContext
from vitalops import conventions as c
from vitalops.errors import GateFailed
from vitalops.ports.cluster import ApiError, Cluster, Json

# Understood by every release since the first, which `services.common.compatibility --known` is not.
_KNOWN = (
    "import json, sys; from services.common.definition import load_definition; "
    "from services.common.schema import known_revisions; "
    "print(json.dumps(sorted(known_revisions(load_definition(sys.argv[1])))))"
)


def known_to(context: StepContext[Any], cluster: Cluster, target: Workload, revision: Revision) -> list[str]:
    """Schema revisions that an older release knows: its image is asked, in a pod that serves nothing.

    Raises GateFailed where it does not say so in time.
    """
    name = f"{target.name}-schema-{revision.hash}"
    path = f"/api/v1/namespaces/{target.namespace}/pods"
    remove(cluster, f"{path}/{name}")
    cluster.request("POST", path, body=asking_pod(target, revision, name))
    try:
        wait_until(context, f"{target.name} {revision.text}", lambda: _ended(cluster, f"{path}/{name}"))
        return list(json.loads(cluster.text(f"{path}/{name}/log").strip().splitlines()[-1]))
    except (ValueError, IndexError):
        raise GateFailed(f"the image {revision.image} does not say which schemas it knows") from None
    finally:
        remove(cluster, f"{path}/{name}")


def lacking(
    cluster: Cluster, target: Workload, known: Sequence[str]
) -> tuple[list[str], dict[str, list[str]]]:
    """Migrations that a release which knows `known` lacks, as the running release says: all, and what may break it.

    Raises UsageError where no pod is ready, GateFailed where the running release cannot tell.
    """
    command = ["python3", "-m", "services.common.compatibility", target.name, "--without", *known]
    done = cluster.execute(target.namespace, a_ready_pod(cluster, target), command, timeout=60.0)
    if done.status:
        raise GateFailed(f"{target.name} cannot compare its schema: {done.errors.strip()[-200:]}")
    told = json.loads(done.output.strip().splitlines()[-1])
    return list(told["lacks"]), dict(told["breaking"])


def asking_pod(target: Workload, revision: Revision, name: str) -> Json:
    """The revision's own pod, but with another command, no probes, and labels that no Service selects."""
    spec = copy.deepcopy(revision.template["spec"])
    container = spec["containers"][0]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe", "lifecycle", "ports"):
        container.pop(probe, None)
    container["command"] = ["python3", "-c", _KNOWN, target.name]
    spec.update({"containers": [container], "restartPolicy": "Never", "activeDeadlineSeconds": 120})
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": target.namespace,
            "labels": {c.LABEL_NAME: f"{target.name}-schema", c.LABEL_PART_OF: "vitalops"},
        },
        "spec": spec,
    }


def remove(cluster: Cluster, path: str) -> None:
    """Delete at once what may not be there."""
    try:
        cluster.request("DELETE", path, query={"gracePeriodSeconds": "0"})
    except ApiError as error:
        if error.status != 404:
            raise


def _ended(cluster: Cluster, path: str) -> str:
    phase = str(cluster.request("GET", path).get("status", {}).get("phase", ""))
    if phase == "Failed":
        raise GateFailed(f"{path.rpartition('/')[2]}: its image cannot say which schemas it knows")
    return (
        "" if phase == "Succeeded" else f"its image is being asked which schemas it knows ({phase or 'new'})"
    )
