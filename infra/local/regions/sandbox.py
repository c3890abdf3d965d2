"""The image that holds a pod's namespaces: it must be in a region before its first pod starts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from vitalops.model.platform import Platform
from vitalops.ports.progress import Progress


@dataclass(frozen=True, slots=True)
class Sandbox:
    """`load` brings the image into the running containerd of a region, given by name; quick where it is there."""

    reference: str
    load: Callable[[str], None]


def built_sandbox(platform: Platform, progress: Progress) -> Sandbox:
    """The suite's own image, built where it is not yet."""
    from infra.local.images.build import build
    from infra.local.images.load import load

    image = build(platform, ("pause",), progress)["pause"]

    def into(region: str) -> None:
        load((region,), {"pause": image}, progress)

    return Sandbox(image.reference, into)
