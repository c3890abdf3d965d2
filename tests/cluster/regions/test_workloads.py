"""What runs in a region: volumes that survive, names, services, the way to the other region and none to the outside."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.regions.conftest import EAST, WEST, Regions, kill, processes_of
from vitalops.paths import Paths

NAMESPACE = "probe"
NODE_PORT = 30080
ADDRESSES = {WEST: "10.201.8.2", EAST: "10.201.9.2"}

ASK = f"""
import json, socket, ssl, urllib.error, urllib.request

def attempt(ask):
    try:
        return ask()
    except urllib.error.URLError as error:
        return type(error.reason).__name__
    except OSError as error:
        return type(error).__name__

def get(url, **more):
    return attempt(lambda: urllib.request.urlopen(url, timeout=5, **more).status)

account = "/var/run/secrets/kubernetes.io/serviceaccount/"
context = ssl.create_default_context(cafile=account + "ca.crt")
version = urllib.request.Request("https://kubernetes.default.svc/version")
version.add_header("Authorization", "Bearer " + open(account + "token").read())
print(json.dumps({{
    "service": get("http://web.{NAMESPACE}/"),
    "own node port": get("http://{ADDRESSES[WEST]}:{NODE_PORT}/"),
    "other region": get("http://{ADDRESSES[EAST]}:{NODE_PORT}/"),
    "api": get(version, context=context),
    "outside name": attempt(lambda: socket.gethostbyname("example.org")),
    "outside address": attempt(lambda: socket.create_connection(("192.0.2.1", 80), 5)),
    "other region's pods": attempt(lambda: socket.create_connection(("10.210.9.8", 8000), 5)),
}}))
"""


def workload(image: str) -> list[dict[str, Any]]:
    """A web server that shows a volume, as the platform's pods are: no root, nothing writable but the volume."""
    pod = {
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 10001,
            "fsGroup": 10001,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "terminationGracePeriodSeconds": 1,
        "containers": [
            {
                "name": "web",
                "image": image,
                "imagePullPolicy": "Never",
                "command": ["python3", "-m", "http.server", "8000", "--directory", "/data"],
                "readinessProbe": {"httpGet": {"path": "/", "port": 8000}, "periodSeconds": 1},
                "volumeMounts": [{"name": "data", "mountPath": "/data"}],
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                },
            }
        ],
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}],
    }
    labels = {"app": "web"}
    return [
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": NAMESPACE, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
        },
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "data", "namespace": NAMESPACE},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
        },
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "web", "namespace": NAMESPACE},
            "spec": {
                "replicas": 1,
                "strategy": {"type": "Recreate"},
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": pod},
            },
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "web", "namespace": NAMESPACE},
            "spec": {
                "type": "NodePort",
                "selector": labels,
                "ports": [{"port": 80, "targetPort": 8000, "nodePort": NODE_PORT}],
            },
        },
    ]


@pytest.fixture(scope="module")
def running(regions: Regions) -> Regions:
    regions.start()
    image = regions.image()
    for region in (WEST, EAST):
        regions.apply(region, *workload(image))
    for region in (WEST, EAST):
        wait_for_web(regions, region)
    return regions


def wait_for_web(regions: Regions, region: str) -> None:
    regions.kubectl(region, "--namespace", NAMESPACE, "rollout", "status", "deployment/web", "--timeout=120s")


def in_pod(regions: Regions, region: str, *command: str, text: str | None = None) -> str:
    arguments = ("--namespace", NAMESPACE, "exec", "--stdin", "deployment/web", "--", *command)
    return regions.kubectl(region, *arguments, text=text)


def read_volume(regions: Regions, region: str, seconds: float = 60) -> str:
    """What the volume holds, once the pod answers again: after a start its last state still reads as ready."""
    deadline = time.monotonic() + seconds
    while True:
        url = f"http://{ADDRESSES[region]}:{NODE_PORT}/note"
        answer = subprocess.run(
            ["curl", "--silent", "--fail", "--max-time", "2", url], capture_output=True, text=True
        )
        if answer.returncode == 0:
            return answer.stdout
        assert time.monotonic() < deadline, "the pod does not come back"
        time.sleep(0.3)


def write_volume(regions: Regions, region: str, words: str) -> None:
    in_pod(regions, region, "python3", "-c", f"open('/data/note', 'w').write({words!r})")


def test_ways_inside_between_and_out(running: Regions) -> None:
    assert json.loads(in_pod(running, WEST, "python3", "-", text=ASK)) == {
        "service": 200,
        "own node port": 200,
        "other region": 200,
        "api": 200,
        "outside name": "gaierror",
        "outside address": "OSError",
        "other region's pods": "OSError",
    }


def test_a_region_killed_on_its_kubelet_and_containerd_comes_back_with_its_data(running: Regions) -> None:
    write_volume(running, WEST, "written before the kill")
    alive = processes_of(WEST)
    kill(alive["kubelet"], alive["containerd"])
    assert set(running.status(WEST)["dead"]) == {"kubelet", "containerd"}
    running.start(WEST)
    assert read_volume(running, WEST) == "written before the kill"
    # And the kubelet rules over its pods again.
    running.kubectl(WEST, "--namespace", NAMESPACE, "rollout", "restart", "deployment/web")
    wait_for_web(running, WEST)
    assert read_volume(running, WEST) == "written before the kill"


def test_a_region_whose_every_process_is_killed_comes_back_with_its_data(running: Regions) -> None:
    write_volume(running, WEST, "written before the end")
    kill(*processes_of(WEST).values())
    pods = Path("/sys/fs/cgroup").rglob(f"vitalops-{WEST}/**/cgroup.procs")
    kill(*{int(pid) for file in pods for pid in file.read_text().split()})
    running.start(WEST)
    assert read_volume(running, WEST) == "written before the end"


def test_volumes_survive_a_stop(running: Regions) -> None:
    write_volume(running, EAST, "written before the stop")
    running.stop(EAST)
    running.start(EAST)
    assert read_volume(running, EAST) == "written before the stop"


def test_a_deleted_claims_folder_goes(running: Regions) -> None:
    volumes = Paths.from_environment().region(EAST) / "volumes"
    (folder,) = volumes.iterdir()
    running.kubectl(EAST, "--namespace", NAMESPACE, "delete", "deployment/web", "pvc/data", "--wait=true")
    deadline = time.monotonic() + 30
    while folder.exists():
        assert time.monotonic() < deadline, f"{folder} is still there"
        time.sleep(0.2)
    running.apply(EAST, *workload(running.image()))
    wait_for_web(running, EAST)


def test_strangers_learn_nothing_from_the_api_server(running: Regions) -> None:
    def status(path: str) -> str:
        url = f"https://{ADDRESSES[WEST]}:6443{path}"
        authority = str(Paths.from_environment().region(WEST) / "pki/ca.crt")
        command = ["curl", "--silent", "--cacert", authority, "--output", "/dev/null"]
        command += ["--write-out", "%{http_code}", url]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    assert status("/readyz") == "200"
    assert status("/version") == "401"
    assert status("/api/v1/namespaces") == "401"


def test_a_kubelet_reads_no_secret_that_none_of_its_pods_uses(running: Regions) -> None:
    running.kubectl(WEST, "create", "secret", "generic", "private", "--from-literal=word=kept")
    kubelet = str(Paths.from_environment().region(WEST) / "pki/kubelet.kubeconfig")
    shell = ("regions", "shell", WEST, "--", "kubectl", "--kubeconfig", kubelet)
    assert running.run(*shell, "get", "node", WEST).returncode == 0
    refused = running.run(*shell, "get", "secret", "private", check=False)
    running.kubectl(WEST, "delete", "secret", "private")
    assert "forbidden" in refused.stderr.lower()


def test_secrets_are_not_readable_on_the_disk(running: Regions) -> None:
    word = "neither-this-word-nor-its-base64"
    running.kubectl(WEST, "create", "secret", "generic", "hidden", f"--from-literal=word={word}")
    running.kubectl(WEST, "create", "configmap", "visible", f"--from-literal=word={word}-in-the-open")
    files = [path for path in (Paths.from_environment().region(WEST) / "etcd").rglob("*") if path.is_file()]
    content = b"".join(path.read_bytes() for path in files)
    running.kubectl(WEST, "delete", "secret/hidden", "configmap/visible")
    assert f"{word}-in-the-open".encode() in content
    assert content.count(word.encode()) == content.count(f"{word}-in-the-open".encode())
