"""Rendering, status from what Patroni says, and stacks side by side."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.components.args import RegionArgs
from infra.engines.graph import record
from infra.engines.manifests import desired_objects
from infra.engines.protocol import Outcome, Stack
from infra.engines.rollout import Stopped
from infra.operations import render
from infra.operations.setting import EngineChoice, Setting
from infra.operations.status import member, status
from infra.operations.up import refuse_taken_ports, require_registry, side_by_side
from infra.program.stacks import PROJECT, region_program
from vitalops.errors import RemoteError, UsageError
from vitalops.model.platform import ClusterContext, Platform
from vitalops.paths import Paths
from vitalops.ports.progress import Progress, SilentProgress


def setting(platform: Platform, folder: Path, *regions: str) -> Setting:
    paths = Paths(cache=folder / "cache", state=folder / "state", run=folder / "run")
    return Setting(platform, paths, regions or ("fr-par", "fr-gra"))


def test_rendered_secrets_hold_no_values(region: Callable[[str], RegionArgs]) -> None:
    args = region("fr-par")
    objects = desired_objects(record(region_program(args), project=PROJECT, stack=args.stack))
    secrets = [node.manifest for node in objects if node.key.kind == "Secret"]
    assert secrets
    for manifest in secrets:
        text = render.document(manifest)
        shown = yaml.safe_load(text)
        assert shown["stringData"].keys() == manifest["data"].keys()
        assert set(shown["stringData"].values()) == {render.PLACEHOLDER}
        assert not [value for value in manifest["data"].values() if value in text]


def test_rendered_objects_are_what_is_applied(region: Callable[[str], RegionArgs]) -> None:
    args = region("fr-gra")
    for node in desired_objects(record(region_program(args), project=PROJECT, stack=args.stack)):
        if node.key.kind != "Secret":
            assert yaml.safe_load(render.document(node.manifest)) == node.manifest


def test_render_leaves_other_folders_alone(platform: Platform, tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine")
    with pytest.raises(UsageError, match="not empty and no earlier render"):
        render.render(setting(platform, tmp_path), tmp_path)
    assert (tmp_path / "precious").read_text() == "mine"


def test_a_member_as_patroni_says_it() -> None:
    asked = {"role": "standby_leader", "state": "running", "timeline": 1, "xlog": {"replayed_location": 100}}
    made = member("postgres-0", {"annotations": {"status": '{"role": "replica"}'}}, asked)
    assert (made.role, made.state, made.position) == ("standby_leader", "running", 100)


def test_a_member_that_does_not_answer_is_known_from_its_pod() -> None:
    kept = {"annotations": {"status": '{"role": "primary", "state": "running", "xlog_location": 7}'}}
    assert member("postgres-0", kept, {}).position == 7
    assert member("postgres-0", {}, {}).role == "unknown"


def test_status_of_unreachable_regions_is_an_answer(platform: Platform, tmp_path: Path) -> None:
    found = status(setting(platform, tmp_path))
    assert not found.healthy
    assert [region.reachable for region in found.regions] == [False, False]
    assert all("\n" not in region.problem for region in found.regions)
    assert found.edges[0].answers is False


def test_an_edge_needs_both_regions(platform: Platform, tmp_path: Path) -> None:
    assert setting(platform, tmp_path, "fr-par").pairs == ()
    assert [pair.name for pair in setting(platform, tmp_path).pairs] == ["france"]


def test_auto_takes_the_embedded_engine_without_pulumi(
    platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert setting(platform, tmp_path).make_engine().name == "embedded"


def test_auto_takes_pulumi_where_it_is_on_path(
    platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pulumi").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    chosen = setting(platform, tmp_path)
    assert chosen.make_engine().name == "pulumi"
    embedded = Setting(platform, chosen.paths, chosen.regions, EngineChoice.EMBEDDED)
    assert embedded.make_engine().name == "embedded"


def test_a_taken_edge_port_is_said_before_anything_is_done(platform: Platform, tmp_path: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        pair = platform.pairs["france"]
        taken = pair.model_copy(
            update={"edge": pair.edge.model_copy(update={"port": server.getsockname()[1]})}
        )
        other = platform.model_copy(update={"pairs": {**platform.pairs, "france": taken}})
        with pytest.raises(UsageError, match="edge of france cannot listen"):
            refuse_taken_ports(setting(other, tmp_path))


def test_a_cluster_elsewhere_needs_a_registry(platform: Platform, tmp_path: Path) -> None:
    elsewhere = ClusterContext(context="managed", gateway_address="gateway.example")
    region = platform.regions["fr-par"].model_copy(update={"cluster": elsewhere})
    other = platform.model_copy(update={"regions": {**platform.regions, "fr-par": region}})
    require_registry(setting(platform, tmp_path))
    with pytest.raises(UsageError, match="fr-par is no local region"):
        require_registry(setting(other, tmp_path))


@pytest.mark.parametrize(
    ("regions_local", "address", "here"),
    [(True, "127.0.0.1", True), (True, "192.0.2.1", True), (False, "::1", True), (False, "192.0.2.1", False)],
)
def test_an_edge_is_here_where_its_regions_are_or_its_address_is_loopback(
    platform: Platform, tmp_path: Path, regions_local: bool, address: str, here: bool
) -> None:
    elsewhere = ClusterContext(context="managed", gateway_address="gateway.example")
    regions = {
        name: region if regions_local else region.model_copy(update={"cluster": elsewhere})
        for name, region in platform.regions.items()
    }
    pair = platform.pairs["france"]
    pair = pair.model_copy(update={"edge": pair.edge.model_copy(update={"address": address})})
    assert setting(platform.model_copy(update={"regions": regions}), tmp_path).has_edge_here(pair) is here


class TwoStacks:
    """An engine of which one stack fails while the other waits."""

    name = "fake"

    def __init__(self) -> None:
        self._stop = threading.Event()

    def stop_all(self) -> None:
        self._stop.set()

    def up(self, stack: Stack, progress: Progress) -> Outcome:
        if stack.name == "bad":
            raise RemoteError("the primary does not come up")
        assert self._stop.wait(10), "the other stack's failure did not end this one"
        raise Stopped("stopped")

    def preview(self, stack: Stack) -> Outcome:
        return Outcome(stack.name, (), 0.0)

    def destroy(self, stack: Stack, progress: Progress) -> Outcome:
        return Outcome(stack.name, (), 0.0)

    def outputs(self, stack: Stack) -> Mapping[str, Any]:
        return {}


@pytest.mark.parametrize("order", [("waiting", "bad"), ("bad", "waiting")])
def test_a_failing_region_ends_the_other_and_its_own_error_is_told(order: tuple[str, str]) -> None:
    chosen = tuple(Stack(name, lambda: None, ()) for name in order)
    with pytest.raises(RemoteError, match="the primary does not come up"):
        side_by_side(TwoStacks(), chosen, SilentProgress())
