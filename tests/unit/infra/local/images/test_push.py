from __future__ import annotations

from pathlib import Path

import pytest

from infra.local.images.build import BuiltImage
from infra.local.images.push import push
from tests.unit.infra.local.images.conftest import FakeTools
from vitalops.errors import RemoteError, UsageError
from vitalops.model.platform import Images, Platform
from vitalops.paths import Paths
from vitalops.ports.progress import SilentProgress

REGISTRY = "registry.example.org/health"


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(cache=tmp_path / "cache", state=tmp_path / "state", run=tmp_path / "run")


@pytest.fixture
def with_registry(platform: Platform) -> Platform:
    return platform.model_copy(update={"images": Images(registry=REGISTRY)})


@pytest.fixture
def image(tmp_path: Path) -> BuiltImage:
    return BuiltImage("gateway", f"{REGISTRY}/gateway:abc", "sha256:0", tmp_path, 1, 1.0, True)


def test_without_a_registry_nothing_is_pushed(paths: Paths, platform: Platform, tools: FakeTools) -> None:
    with pytest.raises(UsageError, match="names no registry"):
        push(platform, [], SilentProgress(), paths=paths, runner=tools)
    assert tools.calls == []


@pytest.mark.parametrize("verify", [True, False])
def test_the_stored_layers_go_to_the_images_reference(
    paths: Paths, with_registry: Platform, tools: FakeTools, image: BuiltImage, verify: bool
) -> None:
    (pushed,) = push(with_registry, [image], SilentProgress(), verify_tls=verify, paths=paths, runner=tools)
    assert pushed.reference == image.reference
    (call,) = tools.named("buildah", "push")
    assert call[-2:] == ("localhost/vitalops-layer/gateway:abc", f"docker://{REGISTRY}/gateway:abc")
    assert f"--tls-verify={str(verify).lower()}" in call


def test_a_refusal_says_how_to_log_in(
    paths: Paths, with_registry: Platform, tools: FakeTools, image: BuiltImage
) -> None:
    tools.refuse["push"] = "Error: unauthorized: authentication required"
    with pytest.raises(RemoteError, match=f"buildah login {REGISTRY}"):
        push(with_registry, [image], SilentProgress(), paths=paths, runner=tools)
