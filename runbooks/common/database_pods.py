"""PostgreSQL's pods: files that the kubelet brings, and what their doors show."""

from __future__ import annotations

from typing import Any, Final

from runbooks.common.waiting import wait_until
from runbooks.engine.model import StepContext
from vitalops import conventions as c
from vitalops.errors import GateFailed
from vitalops.ports.cluster import MERGE, Cluster

CONTAINER: Final = "postgres"
CERTIFICATE: Final = "/etc/vitalops/postgres-tls/tls.crt"
POSTMASTER: Final = "/var/lib/postgresql/data/cluster/postmaster.pid"
REFRESHED: Final = "vitalops.dev/refreshed"

# PostgreSQL asks for TLS in its own protocol (SSLRequest); the guard speaks TLS from the first byte.
_SHOWN: Final = """
import hashlib, socket, ssl, struct, sys
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
for port in map(int, sys.argv[1:]):
    with socket.create_connection(("127.0.0.1", port), 5) as plain:
        if port == 5432:
            plain.sendall(struct.pack("!ii", 8, 80877103))
            assert plain.recv(1) == b"S"
        with context.wrap_socket(plain) as door:
            print(hashlib.sha256(door.getpeercert(True)).hexdigest())
"""


def database_pods(cluster: Cluster) -> list[str]:
    """Names of the region's PostgreSQL pods."""
    found = cluster.request(
        "GET",
        f"/api/v1/namespaces/{c.NAMESPACE_DATA}/pods",
        query={"labelSelector": f"{c.LABEL_NAME}=postgres"},
    )
    return [
        str(pod["metadata"]["name"])
        for pod in found.get("items", [])
        if pod["metadata"].get("labels", {}).get(c.LABEL_NAME) == "postgres"
    ]


def reload_certificate(context: StepContext[Any], cluster: Cluster, pod: str, wanted_pem: str) -> float:
    """Have PostgreSQL read its certificate again, once the new one has arrived in the pod. Returns the seconds."""
    # A change of the pod makes the kubelet look at its volumes now, not within its minute.
    annotations = {REFRESHED: str(context.facts.token)}
    cluster.request(
        "PATCH",
        f"/api/v1/namespaces/{c.NAMESPACE_DATA}/pods/{pod}",
        body={"metadata": {"annotations": annotations}},
        content_type=MERGE,
    )

    def arrived() -> str:
        done = _run(cluster, pod, "cat", CERTIFICATE)
        return "" if done.strip() == wanted_pem.strip() else "the new certificate has not arrived in the pod"

    seconds = wait_until(context, pod, arrived)
    _run(cluster, pod, "sh", "-c", f'kill -HUP "$(head -n 1 {POSTMASTER})"')
    return seconds


def shown_certificates(cluster: Cluster, pod: str, *ports: int) -> list[str]:
    """SHA-256 of the certificates that the pod's doors show."""
    return _run(cluster, pod, "python3", "-c", _SHOWN, *map(str, ports)).split()


def _run(cluster: Cluster, pod: str, *command: str) -> str:
    done = cluster.execute(c.NAMESPACE_DATA, pod, command, container=CONTAINER)
    if done.status:
        raise GateFailed(f"{cluster.name}: {pod}: {command[0]} failed: {done.errors.strip()[-200:]}")
    return done.output
