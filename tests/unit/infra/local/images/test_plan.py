from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.local.images import plan
from infra.local.images.build import build_order, image_references
from infra.local.images.definitions import IMAGES, LAYERS, Content, Debian
from vitalops.conventions import IMAGE_NAMES
from vitalops.errors import UsageError
from vitalops.model.platform import Images, Platform


class WrittenInputs:
    """Inputs held in memory: a text by layer."""

    def __init__(self, **texts: str) -> None:
        self._texts = {id(LAYERS[name].content): text for name, text in texts.items()}

    def fingerprint(self, content: Content) -> str:
        return self._texts.get(id(content), "unchanged")


def _input(layer: str, text: str) -> WrittenInputs:
    return WrittenInputs(**{layer: text})


@given(st.sampled_from(sorted(LAYERS)), st.text(min_size=1).filter(lambda text: text != "unchanged"))
def test_a_changed_input_changes_the_keys_of_that_layer_and_of_those_above_and_no_others(
    layer: str, text: str
) -> None:
    before = plan.layer_keys(WrittenInputs())
    after = plan.layer_keys(_input(layer, text))
    changed = {name for name in LAYERS if before[name] != after[name]}
    assert changed == {name for name in LAYERS if layer in plan.lineage(name)}


def test_equal_inputs_give_equal_keys() -> None:
    assert plan.layer_keys(_input("base", "x")) == plan.layer_keys(_input("base", "x"))


def test_keys_differ_between_layers_that_have_the_same_inputs() -> None:
    keys = plan.layer_keys(WrittenInputs())
    assert len(set(keys.values())) == len(keys)


def test_a_changed_definition_changes_the_key() -> None:
    gateway = dataclasses.replace(LAYERS["gateway"], content=Debian(("haproxy", "curl")))
    facts = dataclasses.replace(IMAGES["media"], uid=1)
    changed = {**LAYERS, "gateway": gateway, "media": dataclasses.replace(LAYERS["media"], facts=facts)}
    before, after = plan.layer_keys(WrittenInputs()), plan.layer_keys(WrittenInputs(), changed)
    assert {name for name in LAYERS if before[name] != after[name]} == {"gateway", "media"}


def test_references_are_local_without_a_registry_and_the_registrys_with_one(platform: Platform) -> None:
    keys = plan.layer_keys(WrittenInputs())
    local = plan.references(platform, keys)
    assert local["services"] == f"localhost/vitalops/services:{keys['services']}"
    remote = platform.model_copy(update={"images": Images(registry="registry.example.org/health")})
    assert plan.references(remote, keys)["media"] == f"registry.example.org/health/media:{keys['media']}"


def test_references_name_every_image_and_are_the_same_each_time(platform: Platform) -> None:
    first = image_references(platform)
    assert tuple(sorted(first)) == tuple(sorted(IMAGE_NAMES))
    assert first == image_references(platform)


def test_the_layers_of_an_image_come_lowest_first() -> None:
    assert plan.lineage("database") == ("base", "database-debian", "database-packages", "database")
    assert plan.needed(("services", "gateway")) == ("base", "services-packages", "services", "gateway")
    assert plan.family("gateway") == "base"
    assert plan.family("pause") == "pause"


def test_an_unknown_image_is_named() -> None:
    with pytest.raises(UsageError, match="no image is called 'servces'"):
        plan.known(["servces"])


def test_images_with_a_compiled_tool_are_built_last_and_families_apart() -> None:
    assert build_order(["media", "pause", "base", "services"]) == [["pause"], ["base", "services"], ["media"]]


def test_no_image_runs_as_root() -> None:
    assert all(facts.uid > 0 for facts in IMAGES.values())


def test_every_parent_is_defined_before_its_children() -> None:
    seen: set[str] = set()
    for name, layer in LAYERS.items():
        assert layer.parent is None or layer.parent in seen
        seen.add(name)


def test_c_sources_are_there() -> None:
    folder = Path(plan.__file__).parent
    assert (folder / "pause" / "pause.c").is_file()
