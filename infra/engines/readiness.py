"""When an object counts as ready, and when it has failed for good. Pure: judged from the object alone."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from infra.engines.objects import Manifest


class State(StrEnum):
    READY = "ready"
    WAITING = "waiting"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Verdict:
    state: State
    detail: str = ""


_READY = Verdict(State.READY)


def judge(live: Manifest) -> Verdict:
    """Deployments, StatefulSets and DaemonSets are ready when the newest revision is rolled out and ready everywhere,
    Jobs when they have completed; everything else is ready when it exists."""
    status: dict[str, Any] = live.get("status") or {}
    match live["kind"]:
        case "Deployment":
            return _deployment(live, status)
        case "StatefulSet":
            return _stateful_set(live, status)
        case "DaemonSet":
            return _daemon_set(live, status)
        case "Job":
            return _job(status)
        case "Namespace" if status.get("phase") == "Terminating":
            return Verdict(State.WAITING, "is being removed")
        case _:
            return _READY


def _deployment(live: Manifest, status: dict[str, Any]) -> Verdict:
    wanted = int(live["spec"].get("replicas", 1))
    if int(status.get("observedGeneration", 0)) < int(live["metadata"].get("generation", 1)):
        return Verdict(State.WAITING, "not seen by its controller yet")
    for condition in status.get("conditions", []):
        if condition.get("type") == "Progressing" and condition.get("reason") == "ProgressDeadlineExceeded":
            return Verdict(State.FAILED, str(condition.get("message", "makes no progress")))
    updated, total = int(status.get("updatedReplicas", 0)), int(status.get("replicas", 0))
    available = int(status.get("availableReplicas", 0))
    if updated < wanted:
        return Verdict(State.WAITING, f"{updated} of {wanted} updated")
    if total > updated:
        return Verdict(State.WAITING, f"{total - updated} old to end")
    if available < updated:
        return Verdict(State.WAITING, f"{available} of {updated} ready")
    return _READY


def _stateful_set(live: Manifest, status: dict[str, Any]) -> Verdict:
    wanted = int(live["spec"].get("replicas", 1))
    if int(status.get("observedGeneration", 0)) < int(live["metadata"].get("generation", 1)):
        return Verdict(State.WAITING, "not seen by its controller yet")
    ready, updated = int(status.get("readyReplicas", 0)), int(status.get("updatedReplicas", 0))
    if status.get("updateRevision") != status.get("currentRevision") and updated < wanted:
        return Verdict(State.WAITING, f"{updated} of {wanted} updated")
    if ready < wanted:
        return Verdict(State.WAITING, f"{ready} of {wanted} ready")
    return _READY


def _daemon_set(live: Manifest, status: dict[str, Any]) -> Verdict:
    if int(status.get("observedGeneration", 0)) < int(live["metadata"].get("generation", 1)):
        return Verdict(State.WAITING, "not seen by its controller yet")
    wanted = int(status.get("desiredNumberScheduled", 0))
    updated, ready = int(status.get("updatedNumberScheduled", 0)), int(status.get("numberReady", 0))
    if updated < wanted:
        return Verdict(State.WAITING, f"{updated} of {wanted} nodes updated")
    if ready < wanted:
        return Verdict(State.WAITING, f"{ready} of {wanted} nodes ready")
    return _READY


def _job(status: dict[str, Any]) -> Verdict:
    for condition in status.get("conditions", []):
        if condition.get("status") != "True":
            continue
        if condition.get("type") == "Complete":
            return _READY
        if condition.get("type") == "Failed":
            return Verdict(State.FAILED, str(condition.get("message", "failed")))
    return Verdict(State.WAITING, f"running, {int(status.get('failed', 0))} failed attempts")
