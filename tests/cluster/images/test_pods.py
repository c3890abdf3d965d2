"""The images run in a region as the platform runs them: without root, capabilities or a writable root."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.local.images.definitions import IMAGES
from tests.cluster.conftest import RunningPlatform, vitalops
from tests.cluster.images.conftest import Built

NAMESPACE = "test-images"
SECONDS = 90
PROGRAMS = {
    "base": 'python3 -c \'import ssl, sqlite3, zoneinfo; zoneinfo.ZoneInfo("Europe/Paris"); print("works")\'',
    "services": "python3 -c 'import fastapi, psycopg, livekit.api, authlib, fhir.resources.R4B; print(\"works\")'",
    "database": (
        "initdb --auth trust --pgdata /tmp/data >/dev/null"
        " && pg_ctl --pgdata /tmp/data --wait --options '-k /tmp -h \"\"' --log /tmp/log start >/dev/null"
        " && psql --host /tmp --dbname postgres --tuples-only --no-align --command \"select 'works'\""
        " && python3 -m patroni --version && patronictl version | head -1 && pgbackrest version"
    ),
    "gateway": "haproxy -vv | grep -q 'HAProxy version 3.0' && haproxy -vv | grep -q PROMEX && echo works",
    "media": "livekit-server --version >/dev/null && echo works",
}
"""What shows, in each image with a shell, that its program starts."""
CHECKS = """
echo uid=$(id -u)
if touch /written 2>/dev/null; then echo root=writable; else echo root=read-only; fi
grep CapEff /proc/self/status
"""


def _pod(name: str, image: Built) -> dict[str, Any]:
    restricted = {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    container = {
        "name": name,
        "image": image.reference,
        "imagePullPolicy": "Never",
        "command": ["sh", "-c", f"{CHECKS}\n{PROGRAMS[name]}"],
        "securityContext": restricted,
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "containers": [container],
            "volumes": [{"name": "tmp", "emptyDir": {}}],
        },
    }


@pytest.fixture(scope="module")
def region(
    running_platform: RunningPlatform, images: dict[str, Built], tmp_path_factory: Any
) -> Iterator[str]:
    """A region with a namespace in which pods must be restricted, and one pod of each image in it."""
    name = running_platform.pair.primary
    vitalops("images", "load", "--region", name)
    namespace = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": NAMESPACE, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
    }
    pods = [_pod(image, images[image]) for image in PROGRAMS]
    file: Path = tmp_path_factory.mktemp("pods") / "pods.json"
    running_platform.kubectl(
        name, "delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait", "--timeout=60s"
    )
    try:
        for items in ([namespace], pods):
            file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
            running_platform.kubectl(name, "apply", "-f", str(file))
        yield name
    finally:
        running_platform.kubectl(name, "delete", "namespace", NAMESPACE, "--wait", "--timeout=60s")


def _finished(running_platform: RunningPlatform, region: str, pod: str) -> str:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        status = running_platform.kubectl_json(region, "get", "pod", pod, "-n", NAMESPACE)["status"]
        if status["phase"] in ("Succeeded", "Failed"):
            log = running_platform.kubectl(region, "logs", pod, "-n", NAMESPACE).stdout
            assert status["phase"] == "Succeeded", log
            return log
        time.sleep(0.5)
    pytest.fail(f"pod {pod} did not finish in {SECONDS} s: {status}")


@pytest.mark.parametrize("name", PROGRAMS)
def test_an_image_runs_restricted_on_a_read_only_root(
    running_platform: RunningPlatform, region: str, name: str
) -> None:
    log = _finished(running_platform, region, name)
    assert "works" in log.splitlines()
    assert f"uid={IMAGES[name].uid}" in log
    assert "root=read-only" in log
    assert "CapEff:\t0000000000000000" in log
