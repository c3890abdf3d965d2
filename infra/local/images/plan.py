"""From definitions and inputs to tags: which layers an image needs, and what each is called. Pure."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Final

from infra.local.images.definitions import IMAGES, LAYERS, Layer
from infra.local.images.inputs import Inputs
from vitalops.errors import UsageError
from vitalops.model.platform import Platform

RECIPE: Final = 1
"""Raise when the way of building changes what comes out of the same inputs."""
LOCAL_PREFIX: Final = "localhost/vitalops"


def layer_keys(inputs: Inputs, layers: Mapping[str, Layer] = LAYERS) -> dict[str, str]:
    """Twelve hexadecimal digits per layer over its definition, its inputs and its parent's key."""
    keys: dict[str, str] = {}

    def key(name: str) -> str:
        if name not in keys:
            layer = layers[name]
            parts = {
                "recipe": RECIPE,
                "layer": dataclasses.asdict(layer),
                "kind": type(layer.content).__name__,
                "inputs": inputs.fingerprint(layer.content),
                "parent": key(layer.parent) if layer.parent else None,
            }
            keys[name] = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]
        return keys[name]

    for name in layers:
        key(name)
    return keys


def lineage(name: str, layers: Mapping[str, Layer] = LAYERS) -> tuple[str, ...]:
    """The layers of an image, lowest first."""
    parent = layers[name].parent
    return (*(lineage(parent, layers) if parent else ()), name)


def family(name: str, layers: Mapping[str, Layer] = LAYERS) -> str:
    """The lowest layer. Images of different families share nothing, so they may be built independently."""
    return lineage(name, layers)[0]


def needed(names: Iterable[str], layers: Mapping[str, Layer] = LAYERS) -> tuple[str, ...]:
    """Every layer of these images once, parents before children."""
    return tuple(dict.fromkeys(layer for name in names for layer in lineage(name, layers)))


def known(names: Iterable[str] | None) -> tuple[str, ...]:
    """The image names asked for; all where none are. Raises UsageError for a name that is not an image's."""
    chosen = tuple(names or IMAGES)
    for name in chosen:
        if name not in IMAGES:
            raise UsageError(f"no image is called {name!r}", hint=f"images: {', '.join(IMAGES)}")
    return chosen


def reference(platform: Platform, name: str, key: str) -> str:
    return f"{platform.images.registry or LOCAL_PREFIX}/{name}:{key}"


def references(platform: Platform, keys: Mapping[str, str]) -> dict[str, str]:
    return {name: reference(platform, name, keys[name]) for name in IMAGES}
