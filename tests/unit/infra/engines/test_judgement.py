"""Readiness and differences: pure judgements about objects."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.engines.diff import MASK, Action, compare
from infra.engines.objects import ObjectKey, collection_path, fingerprint
from infra.engines.readiness import State, judge

KEY = ObjectKey("v1", "ConfigMap", "n", "a")
SECRET = ObjectKey("v1", "Secret", "n", "a")


def deployment(generation: int = 2, replicas: int = 2, **status: Any) -> dict[str, Any]:
    return {
        "kind": "Deployment",
        "metadata": {"generation": generation},
        "spec": {"replicas": replicas},
        "status": status,
    }


@pytest.mark.parametrize(
    ("live", "state"),
    [
        (deployment(), State.WAITING),
        (deployment(observedGeneration=1, updatedReplicas=2, replicas=2, availableReplicas=2), State.WAITING),
        (deployment(observedGeneration=2, updatedReplicas=1, replicas=2, availableReplicas=2), State.WAITING),
        (deployment(observedGeneration=2, updatedReplicas=2, replicas=3, availableReplicas=3), State.WAITING),
        (deployment(observedGeneration=2, updatedReplicas=2, replicas=2, availableReplicas=1), State.WAITING),
        (deployment(observedGeneration=2, updatedReplicas=2, replicas=2, availableReplicas=2), State.READY),
        (
            deployment(
                observedGeneration=2,
                conditions=[{"type": "Progressing", "reason": "ProgressDeadlineExceeded", "message": "late"}],
            ),
            State.FAILED,
        ),
        (deployment(replicas=0, observedGeneration=2), State.READY),
    ],
)
def test_deployments(live: dict[str, Any], state: State) -> None:
    assert judge(live).state is state


@pytest.mark.parametrize(
    ("condition", "state"),
    [("Complete", State.READY), ("Failed", State.FAILED), ("Suspended", State.WAITING)],
)
def test_jobs(condition: str, state: State) -> None:
    live = {"kind": "Job", "status": {"conditions": [{"type": condition, "status": "True"}]}}
    assert judge(live).state is state


def test_a_stateful_set_that_is_being_replaced_waits() -> None:
    status = {
        "observedGeneration": 1,
        "readyReplicas": 1,
        "updatedReplicas": 0,
        "currentRevision": "a",
        "updateRevision": "b",
    }
    live = {"kind": "StatefulSet", "metadata": {"generation": 1}, "spec": {"replicas": 1}, "status": status}
    assert judge(live).state is State.WAITING
    live["status"] = {**status, "updatedReplicas": 1}
    assert judge(live).state is State.READY


def test_a_daemon_set_is_ready_when_every_node_runs_its_newest_revision() -> None:
    status = {
        "observedGeneration": 2,
        "desiredNumberScheduled": 3,
        "updatedNumberScheduled": 3,
        "numberReady": 3,
    }

    def state(**changed: int) -> State:
        return judge(
            {"kind": "DaemonSet", "metadata": {"generation": 2}, "status": {**status, **changed}}
        ).state

    assert state() is State.READY
    assert state(observedGeneration=1) is State.WAITING
    assert state(updatedNumberScheduled=2) is State.WAITING
    assert state(numberReady=2) is State.WAITING


def test_a_config_map_is_ready_when_it_exists() -> None:
    assert judge({"kind": "ConfigMap"}).state is State.READY


def test_secrets_are_masked() -> None:
    change = compare("c", SECRET, {"data": {"password": "b2xk"}}, {"data": {"password": "bmV3"}})
    assert change.action is Action.UPDATE
    assert [(field.old, field.new) for field in change.fields] == [(MASK, MASK)]
    assert "b2xk" not in repr(change)
    assert "bmV3" not in repr(change)


def test_a_secret_that_gets_its_first_data_is_masked_too() -> None:
    change = compare("c", SECRET, {"metadata": {}}, {"metadata": {}, "data": {"password": "bmV3"}})
    assert "bmV3" not in repr(change)


def test_named_list_items_are_compared_by_name() -> None:
    old = {"spec": {"env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]}}
    new = {"spec": {"env": [{"name": "B", "value": "3"}, {"name": "A", "value": "1"}]}}
    (field,) = compare("c", KEY, old, new).fields
    assert (field.path, field.old, field.new) == ("spec.env[B].value", "2", "3")


def test_what_the_cluster_writes_is_no_difference() -> None:
    old = {"metadata": {"name": "a", "resourceVersion": "1", "managedFields": []}, "status": {"x": 1}}
    new = {
        "metadata": {
            "name": "a",
            "resourceVersion": "2",
            "annotations": {"deployment.kubernetes.io/revision": "2"},
        }
    }
    assert compare("c", KEY, old, new).action is Action.UNCHANGED


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(json_values)
def test_anything_equals_itself(value: object) -> None:
    change = compare("c", KEY, {"spec": value}, {"spec": value})
    assert change.action is Action.UNCHANGED
    assert fingerprint(value) == fingerprint(value)


@given(json_values, json_values)
def test_a_change_is_found_exactly_when_there_is_one(old: object, new: object) -> None:
    change = compare("c", KEY, {"spec": old}, {"spec": new})
    # A key without a value and no key at all mean the same to the API; within lists they may differ.
    if old == new:
        assert change.action is Action.UNCHANGED
    if change.action is Action.UNCHANGED:
        assert _bare(old) == _bare(new)


def _bare(value: object) -> object:
    if isinstance(value, dict):
        return {key: _bare(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_bare(item) for item in value]
    return value


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        (("v1", "Namespace", ""), "/api/v1/namespaces"),
        (("v1", "Secret", "n"), "/api/v1/namespaces/n/secrets"),
        (("apps/v1", "Deployment", "n"), "/apis/apps/v1/namespaces/n/deployments"),
        (("apps/v1", "Deployment", ""), "/apis/apps/v1/deployments"),
    ],
)
def test_paths(arguments: tuple[str, str, str], path: str) -> None:
    assert collection_path(*arguments) == path
