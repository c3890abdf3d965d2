"""The embedded engine against an API in memory."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from infra.engines import inventory
from infra.engines.diff import Action
from infra.engines.embedded import EmbeddedEngine
from infra.engines.graph import ProgramError
from infra.engines.lock import SYSTEM_NAMESPACE, StackLock, holder, leases
from infra.engines.objects import ObjectKey
from infra.engines.protocol import Stack
from infra.engines.rollout import RolloutFailed, Stopped
from infra.kube import ApiError
from tests.unit.infra.fakes import FakeKubeApi, ready_status
from vitalops.errors import UsageError
from vitalops.ports.progress import RecordedProgress, SilentProgress

Manifest = dict[str, Any]
LABELS = {"vitalops.dev/stack": "s"}


def config_map(name: str, value: str = "1") -> Manifest:
    metadata = {"name": name, "namespace": "n", "labels": LABELS}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"key": value}}


def deployment(name: str) -> Manifest:
    pod = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": name, "image": "i"}]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "n", "labels": LABELS},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": name}}, "template": pod},
    }


def job(name: str) -> Manifest:
    made = deployment(name)
    return {**made, "apiVersion": "batch/v1", "kind": "Job", "spec": {"template": made["spec"]["template"]}}


def program(*chain: Manifest) -> Callable[[], None]:
    """Each object depends on the one before it; the namespace comes first."""

    def run() -> None:
        import pulumi
        import pulumi_kubernetes as k8s

        from infra.components.declare import declare

        cluster = k8s.Provider("cluster", cluster_identifier="here", kubeconfig="/none")
        parent = pulumi.ComponentResource(
            "test:index:Parent", "parent", None, pulumi.ResourceOptions(provider=cluster)
        )
        space: Manifest = {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": "n", "labels": LABELS},
        }
        last = declare(space, parent=parent)
        for manifest in chain:
            last = declare(manifest, parent=parent, depends_on=[last])
        pulumi.export("answer", 42)

    return run


def stack(*chain: Manifest) -> Stack:
    return Stack("s", program(*chain), ("here",))


def engine_of(api: FakeKubeApi, seconds: float = 20.0) -> EmbeddedEngine:
    return EmbeddedEngine(lambda _: api, ready_seconds=seconds)


def written(api: FakeKubeApi) -> list[str]:
    """What was applied, in order, without the engine's own objects."""
    return [name for verb, _, name in api.log if verb == "PATCH" and not name.startswith("inventory")]


def test_up_applies_in_dependency_order_and_reports() -> None:
    api = FakeKubeApi("here")
    progress = RecordedProgress()
    outcome = engine_of(api).up(stack(config_map("a"), deployment("b"), config_map("c")), progress)
    assert written(api) == ["n", "a", "b", "c"]
    assert outcome.count(Action.CREATE) == 4
    assert progress.finished == ["s"]


def test_what_depends_on_a_deployment_waits_until_it_is_ready() -> None:
    ready = threading.Event()
    api = FakeKubeApi(
        "here", lambda item: ready_status(item) if ready.is_set() or item["kind"] != "Deployment" else {}
    )
    chosen = stack(deployment("slow"), config_map("after"))
    with pytest.raises(RolloutFailed, match="Deployment n/slow is not ready after 1 s"):
        engine_of(api, 1.0).up(chosen, SilentProgress())
    assert api.keys("ConfigMap") == ["inventory-s"]
    ready.set()
    engine_of(api).up(chosen, SilentProgress())
    assert "after" in api.keys("ConfigMap")


def test_up_again_changes_nothing() -> None:
    api = FakeKubeApi("here")
    chosen = stack(config_map("a"), deployment("b"))
    engine_of(api).up(chosen, SilentProgress())
    versions = {place: item["metadata"]["resourceVersion"] for place, item in api.objects.items()}
    outcome = engine_of(api).up(chosen, SilentProgress())
    assert outcome.count(Action.UNCHANGED) == len(outcome.changes) == 3
    kept = {place: item["metadata"]["resourceVersion"] for place, item in api.objects.items()}
    assert {p: v for p, v in kept.items() if p[1] == "n"} == {
        p: v for p, v in versions.items() if p[1] == "n"
    }


def test_what_is_declared_no_more_is_removed() -> None:
    api = FakeKubeApi("here")
    engine_of(api).up(stack(config_map("a"), config_map("b")), SilentProgress())
    outcome = engine_of(api).up(stack(config_map("a")), SilentProgress())
    assert outcome.count(Action.DELETE) == 1
    assert api.keys("ConfigMap") == ["a", "inventory-s"]


def test_objects_of_a_killed_run_are_removed_too() -> None:
    api = FakeKubeApi("here")
    engine_of(api).up(stack(config_map("a"), config_map("b")), SilentProgress())
    # A run that was killed after its inventory was written and before it came to pruning.
    wanted = inventory.read(api, "s") | {ObjectKey("v1", "ConfigMap", "n", "never-made")}
    inventory.write(api, "s", wanted)
    engine_of(api).up(stack(config_map("a")), SilentProgress())
    assert api.keys("ConfigMap") == ["a", "inventory-s"]
    assert {key.name for key in inventory.read(api, "s")} == {"n", "a"}


def test_a_failed_job_ends_up_at_once_and_is_tried_again_by_the_next() -> None:
    failed = {"conditions": [{"type": "Failed", "status": "True", "message": "no such table"}]}
    api = FakeKubeApi("here", lambda item: failed if item["kind"] == "Job" else ready_status(item))
    with pytest.raises(RolloutFailed, match=r"Job n/migrate failed: no such table"):
        engine_of(api).up(stack(job("migrate")), SilentProgress())
    api.status = ready_status
    api.objects["Job", "n", "migrate"]["marker"] = "the failed one"
    seen: list[Manifest] = []
    api.status = lambda item: seen.append(item) or (failed if "marker" in item else ready_status(item))
    engine_of(api).up(stack(job("migrate")), SilentProgress())
    assert "marker" not in api.objects["Job", "n", "migrate"]


def test_a_stopped_run_says_so_and_leaves_no_lock() -> None:
    api = FakeKubeApi("here", lambda item: {} if item["kind"] == "Deployment" else ready_status(item))
    engine = engine_of(api)
    engine.stop_all()
    with pytest.raises(Stopped, match="run `vitalops up` again"):
        engine.up(stack(deployment("b")), SilentProgress())
    assert api.keys("Lease") == []


def test_a_second_up_is_refused_and_names_the_holder() -> None:
    api = FakeKubeApi("here")
    with (
        StackLock(api, "s").held(),
        pytest.raises(UsageError, match=r"stack s is being changed by .+ \(process \d+\)"),
    ):
        engine_of(api).up(stack(config_map("a")), SilentProgress())
    assert "a" not in api.keys("ConfigMap")
    engine_of(api).up(stack(config_map("a")), SilentProgress())


def test_the_lock_of_a_dead_process_of_this_machine_is_taken_over() -> None:
    api = FakeKubeApi("here")
    with StackLock(api, "s").held():
        lease = api.objects["Lease", SYSTEM_NAMESPACE, "stack-s"]
        lease["metadata"]["annotations"]["vitalops.dev/process-started"] = "1"
        with StackLock(api, "s").held():
            pass


@pytest.mark.parametrize(
    ("renewed", "free"), [("2020-01-01T00:00:00.000000Z", True), ("2999-01-01T00:00:00.000000Z", False)]
)
def test_a_lock_of_another_machine_runs_out(renewed: str, free: bool) -> None:
    api = FakeKubeApi("here")
    with StackLock(api, "s").held():
        lease = api.objects["Lease", SYSTEM_NAMESPACE, "stack-s"]
        lease["metadata"]["annotations"]["vitalops.dev/host"] = "elsewhere"
        lease["spec"]["renewTime"] = renewed
        if free:
            with StackLock(api, "s").held():
                pass
        else:
            with pytest.raises(UsageError), StackLock(api, "s").held():
                pass


def test_who_holds_what_is_shown_and_what_was_abandoned_is_not() -> None:
    api = FakeKubeApi("here")
    with StackLock(api, "region-fr-par").held(), StackLock(api, "edge-france").held():
        api.objects["Lease", SYSTEM_NAMESPACE, "stack-edge-france"]["metadata"]["annotations"][
            "vitalops.dev/process-started"
        ] = "1"
        before = len(api.log)
        (lease,) = leases(api)
        assert lease.stack == "region-fr-par"
        assert lease.holder == holder()
        assert lease.since is not None
        assert datetime.now(UTC) - lease.since < timedelta(minutes=5)
        assert {verb for verb, _, _ in api.log[before:]} <= {"GET", "LIST"}
    assert leases(api) == ()


def test_preview_changes_nothing_and_shows_each_field() -> None:
    api = FakeKubeApi("here")
    engine_of(api).up(stack(config_map("a"), config_map("gone")), SilentProgress())
    before = {place: dict(item) for place, item in api.objects.items()}
    outcome = engine_of(api).preview(stack(config_map("a", "2"), config_map("new")))
    assert api.objects == before
    actions = {change.key.name: change.action for change in outcome.changes}
    assert actions == {
        "n": Action.UNCHANGED,
        "a": Action.UPDATE,
        "new": Action.CREATE,
        "gone": Action.DELETE,
    }
    (field,) = next(change.fields for change in outcome.changes if change.key.name == "a")
    assert (field.path, field.old, field.new) == ("data.key", "1", "2")


def test_destroy_removes_everything_it_made() -> None:
    api = FakeKubeApi("here")
    engine_of(api).up(stack(config_map("a"), deployment("b")), SilentProgress())
    engine_of(api).destroy(stack(), SilentProgress())
    assert {place for place in api.objects if place[1] == "n" or place[2] == "n"} == set()


def test_what_the_server_refuses_ends_the_run_with_its_words() -> None:
    api = FakeKubeApi("here")
    original = api.request

    def refuse(method: str, path: str, **others: Any) -> Any:
        if path.endswith("/configmaps/a") and method == "PATCH":
            raise ApiError(422, "Invalid", "region here: data is wrong")
        return original(method, path, **others)

    api.request = refuse  # type: ignore[method-assign]
    with pytest.raises(ApiError, match="data is wrong"):
        engine_of(api).up(stack(config_map("a")), SilentProgress())
    assert api.keys("Lease") == []


def test_outputs() -> None:
    assert engine_of(FakeKubeApi("here")).outputs(stack())["answer"] == 42


def test_an_object_without_an_explicit_provider_is_refused() -> None:
    def run() -> None:
        import pulumi_kubernetes as k8s

        k8s.core.v1.ConfigMap("lost", metadata={"name": "lost"})

    with pytest.raises(ProgramError, match="no explicit provider"):
        engine_of(FakeKubeApi("here")).manifests(Stack("s", run, ("here",)))


def test_a_program_that_raises_is_told_in_one_line() -> None:
    def run() -> None:
        raise ValueError("no such thing")

    with pytest.raises(ProgramError, match="stack s: the program failed: ValueError: no such thing"):
        engine_of(FakeKubeApi("here")).manifests(Stack("s", run, ("here",)))
