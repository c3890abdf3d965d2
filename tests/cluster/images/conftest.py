"""The images as a user's command builds them: from the cache where nothing has changed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from infra.local.images.store import ImageStore
from tests.cluster.conftest import vitalops


@dataclass(frozen=True, slots=True)
class Built:
    name: str
    reference: str
    digest: str
    layout: Path

    def layers(self) -> list[Path]:
        """The compressed tar files of its layers, lowest first."""
        store = ImageStore(self.layout.parent)
        manifest = json.loads(store.blob(self.digest).read_text())
        return [store.blob(layer["digest"]) for layer in manifest["layers"]]

    def config(self) -> dict[str, object]:
        store = ImageStore(self.layout.parent)
        manifest = json.loads(store.blob(self.digest).read_text())
        config: dict[str, object] = json.loads(store.blob(manifest["config"]["digest"]).read_text())["config"]
        return config


@pytest.fixture(scope="session")
def images() -> dict[str, Built]:
    listed = json.loads(vitalops("images", "build", "--output", "json", seconds=3600).stdout)
    return {
        image["name"]: Built(image["name"], image["reference"], image["digest"], Path(image["layout"]))
        for image in listed
    }
