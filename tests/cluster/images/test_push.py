"""Images for clusters that one already has go to a registry."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cluster.conftest import ROOT, vitalops
from tests.cluster.images.conftest import Built
from tests.cluster.images.registry import running_registry


def test_images_are_pushed_under_the_names_that_the_manifests_use(
    images: dict[str, Built], tmp_path: Path
) -> None:
    with running_registry() as registry:
        file = tmp_path / "platform.yaml"
        text = (ROOT / "platform.yaml").read_text()
        file.write_text(f"{text}\nimages: {{registry: {registry.address}/health}}\n")
        done = vitalops(
            "--platform", str(file), "images", "push", "pause", "gateway", "--insecure", "--output", "json"
        )
        pushed = {image["name"]: image["reference"] for image in json.loads(done.stdout)}
        key = images["gateway"].reference.rpartition(":")[2]
        assert pushed["gateway"] == f"{registry.address}/health/gateway:{key}"
        manifest = json.loads(registry.manifests[f"health/gateway:{key}"])
        parts = [manifest["config"], *manifest["layers"]]
        assert len(parts) == 3
        assert {part["digest"] for part in parts} <= set(registry.blobs)


def test_a_registry_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "platform.yaml"
    text = (ROOT / "platform.yaml").read_text()
    file.write_text(f"{text}\nimages: {{registry: 127.0.0.1:9/health}}\n")
    done = vitalops("--platform", str(file), "images", "push", "pause", check=False)
    assert done.returncode == 3
    last = done.stderr.strip().splitlines()[-1]
    assert "cannot reach 127.0.0.1:9/health" in last


def test_without_a_registry_the_platform_file_is_pointed_at() -> None:
    done = vitalops("images", "push", check=False)
    assert done.returncode == 2
    assert "names no registry" in done.stderr
