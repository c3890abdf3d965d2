"""`vitalops render`: the programs' objects as a GitOps folder, one file each, without any secret."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml

from infra.engines.graph import record
from infra.engines.manifests import Desired, desired_objects
from infra.engines.objects import Manifest
from infra.operations.setting import Setting, stacks
from infra.program.stacks import PROJECT
from vitalops.errors import UsageError

MARKER: Final = ".vitalops-render"
PLACEHOLDER: Final = "placeholder"
_NOTE: Final = """\
# The values of this Secret are not rendered. They are in the secret store of the machine that ran `vitalops up`;
# put them into the cluster by a sealed or external secret of the same name and keys.
"""


@dataclass(frozen=True, slots=True)
class Rendered:
    folder: Path
    files: tuple[str, ...]
    """Relative to the folder."""
    placeholders: tuple[str, ...]
    """Those that hold a Secret without its values."""


def render(setting: Setting, folder: Path) -> Rendered:
    """Write `folder/CLUSTER/NAMESPACE/KIND-NAME.yaml` and a kustomization for each cluster; earlier renders go.

    Raises UsageError for a folder that is not empty and not an earlier render.
    """
    from infra.local.images.build import image_references

    if folder.exists() and any(folder.iterdir()) and not (folder / MARKER).exists():
        raise UsageError(f"{folder} is not empty and no earlier render", hint="name a new folder with --out")
    regions, edges = stacks(setting, image_references(setting.platform))
    desired = [
        node
        for stack in (*regions, *edges)
        for node in desired_objects(record(stack.program, project=PROJECT, stack=stack.name))
    ]
    try:
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir(parents=True)
        (folder / MARKER).write_text("Written by `vitalops render`, which replaces this folder.\n")
        return _write(desired, folder)
    except OSError as error:
        raise UsageError(
            f"cannot write {folder}: {error.strerror}", hint="name another folder with --out"
        ) from None


def _write(desired: list[Desired], folder: Path) -> Rendered:
    files: list[str] = []
    placeholders: list[str] = []
    by_cluster: dict[str, list[str]] = {}
    for node in desired:
        place = node.key.namespace or "cluster"
        relative = f"{place}/{node.key.kind.lower()}-{node.key.name}.yaml"
        path = folder / node.cluster / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(document(node.manifest))
        files.append(f"{node.cluster}/{relative}")
        if node.key.kind == "Secret":
            placeholders.append(files[-1])
        by_cluster.setdefault(node.cluster, []).append(relative)
    for cluster, resources in by_cluster.items():
        kustomization = {
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "resources": sorted(resources),
        }
        (folder / cluster / "kustomization.yaml").write_text(yaml.safe_dump(kustomization, sort_keys=False))
        files.append(f"{cluster}/kustomization.yaml")
    return Rendered(folder, tuple(sorted(files)), tuple(sorted(placeholders)))


def document(manifest: Manifest) -> str:
    """One object as YAML; of a Secret only the keys."""
    if manifest["kind"] != "Secret":
        return yaml.safe_dump(manifest, sort_keys=False, width=120)
    shown = {key: value for key, value in manifest.items() if key != "data"}
    shown["stringData"] = dict.fromkeys(manifest.get("data", {}), PLACEHOLDER)
    return _NOTE + yaml.safe_dump(shown, sort_keys=False, width=120)
