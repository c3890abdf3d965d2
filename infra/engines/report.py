"""Why a workload does not become ready: its pods' states, events and last log lines."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final

from infra.engines.objects import Manifest, ObjectKey
from infra.kube import KubeApi
from vitalops.errors import RemoteError

LOG_LINES: Final = 15
EVENT_LINES: Final = 6
_WORKLOADS: Final = ("Deployment", "StatefulSet", "DaemonSet", "Job")


def _pods(api: KubeApi, key: ObjectKey, manifest: Manifest) -> list[dict[str, Any]]:
    if key.kind not in _WORKLOADS:
        return []
    labels: dict[str, str] = manifest["spec"]["template"]["metadata"]["labels"]
    selector = (
        f"job-name={key.name}"
        if key.kind == "Job"
        else ",".join(
            f"{name}={value}"
            for name, value in manifest["spec"]["selector"]["matchLabels"].items()
            if name in labels
        )
    )
    path = f"/api/v1/namespaces/{key.namespace}/pods"
    return list(api.request("GET", path, query={"labelSelector": selector}).get("items", []))


def _troubled(pod: dict[str, Any]) -> list[tuple[str, str]]:
    """Container and reason, for the containers that neither run ready nor have completed."""
    status = pod.get("status", {})
    found: list[tuple[str, str]] = []
    for container in [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]:
        state = container.get("state", {})
        name, restarts = str(container.get("name")), int(container.get("restartCount", 0))
        again = f", restarted {restarts} times" if restarts else ""
        if "waiting" in state and state["waiting"].get("reason") != "PodInitializing":
            found.append((name, f"{state['waiting'].get('reason', 'waiting')}{again}"))
        elif "terminated" in state and int(state["terminated"].get("exitCode", 0)) != 0:
            found.append((name, f"ended with status {state['terminated'].get('exitCode')}{again}"))
        elif "running" in state and not container.get("ready") and not container.get("started", True):
            found.append((name, f"starting{again}"))
        elif "running" in state and not container.get("ready"):
            found.append((name, f"not ready{again}"))
    if not found and status.get("phase") == "Pending":
        reasons = [
            str(item.get("message", ""))
            for item in status.get("conditions", [])
            if item.get("status") == "False"
        ]
        found.append(("", (reasons or ["pending"])[0]))
    return found


def short(api: KubeApi, key: ObjectKey, manifest: Manifest) -> str:
    """A few words on the first troubled pod, for a progress line."""
    with suppress(RemoteError):
        for pod in _pods(api, key, manifest):
            for container, reason in _troubled(pod):
                return f"{container}: {reason}" if container else reason
    return ""


def full(api: KubeApi, key: ObjectKey, manifest: Manifest) -> str:
    """Several lines: each troubled pod with its events and the last lines of its log."""
    lines: list[str] = []
    try:
        pods = _pods(api, key, manifest)
        if not pods and key.kind in _WORKLOADS:
            lines += [f"  {key} has no pods", *_events(api, key.namespace, key.name)]
        for pod in pods:
            lines += _pod_lines(api, key.namespace, pod)
    except RemoteError as error:
        lines.append(f"  (no details: {error.message})")
    return "\n".join(lines)


def _pod_lines(api: KubeApi, namespace: str, pod: dict[str, Any]) -> list[str]:
    name = str(pod["metadata"]["name"])
    lines: list[str] = []
    for container, reason in _troubled(pod):
        lines.append(f"  pod {namespace}/{name}{f', container {container}' if container else ''}: {reason}")
        lines += [f"    log: {line}" for line in _log(api, namespace, name, container)] if container else []
    return [*lines, *_events(api, namespace, name)] if lines else []


def _log(api: KubeApi, namespace: str, pod: str, container: str) -> list[str]:
    path = f"/api/v1/namespaces/{namespace}/pods/{pod}/log"
    for previous in ("false", "true"):
        query = {"container": container, "tailLines": str(LOG_LINES), "previous": previous}
        with suppress(RemoteError):
            lines = api.text(path, query=query).splitlines()
            if lines:
                return lines[-LOG_LINES:]
    return []


def _events(api: KubeApi, namespace: str, name: str) -> list[str]:
    query = {"fieldSelector": f"involvedObject.name={name}"}
    found = api.request("GET", f"/api/v1/namespaces/{namespace}/events", query=query).get("items", [])
    found.sort(key=lambda event: str(event.get("lastTimestamp") or event.get("eventTime") or ""))
    return [
        f"    event: {event.get('reason')}: {' '.join(str(event.get('message', '')).split())[:200]}"
        for event in found[-EVENT_LINES:]
    ]
