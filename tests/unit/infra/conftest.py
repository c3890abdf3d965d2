"""The bundled platform, and the arguments of its stacks with secrets made for the test."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from infra.components.args import EdgeArgs, RegionArgs
from infra.program.inputs import Surroundings, edge_args, region_args
from vitalops.conventions import IMAGE_NAMES
from vitalops.model.loader import load_platform
from vitalops.model.platform import Platform
from vitalops.model.telemetry import Grafana
from vitalops.paths import Paths
from vitalops.secretstore import InMemorySecretStore

ROOT = Path(__file__).resolve().parents[3]
IMAGES = {name: f"registry.example/{name}:0123" for name in IMAGE_NAMES}


@pytest.fixture(scope="session")
def platform() -> Platform:
    return load_platform(ROOT / "platform.yaml", date(2026, 11, 22))


@pytest.fixture(scope="session")
def around(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Surroundings:
    folder = tmp_path_factory.mktemp("paths")
    paths = Paths(cache=folder / "cache", state=folder / "state", run=folder / "run")
    return Surroundings(platform, paths, InMemorySecretStore(), IMAGES)


@pytest.fixture(scope="session")
def region(around: Surroundings) -> Callable[[str], RegionArgs]:
    """`region("fr-par")`: the arguments of a region's stack."""
    return lambda name: region_args(around, name)


@pytest.fixture(scope="session")
def grafana(around: Surroundings) -> RegionArgs:
    """fr-gra of a platform that names a Grafana."""
    named = Grafana(image="registry.example/grafana:12")
    telemetry = around.platform.telemetry.model_copy(update={"grafana": named})
    platform = around.platform.model_copy(update={"telemetry": telemetry})
    dashboards = {"one.json": "{}", "two.json": '{"title": "two"}'}
    return region_args(dataclasses.replace(around, platform=platform, dashboards=dashboards), "fr-gra")


@pytest.fixture(scope="session")
def edge(around: Surroundings) -> EdgeArgs:
    return edge_args(around, "france")
