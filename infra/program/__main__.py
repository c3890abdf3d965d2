"""What the real Pulumi engine runs: the stack's name says which program, platform.yaml says everything else."""

from __future__ import annotations

from pathlib import Path

import pulumi

from infra.program.inputs import Surroundings, edge_args, region_args
from infra.program.stacks import StackName, edge_program, region_program


def main() -> None:
    from infra.local.images import image_references
    from vitalops.model.loader import load_platform
    from vitalops.paths import Paths
    from vitalops.ports.clock import SystemClock, today
    from vitalops.secretstore import FileSecretStore

    config = pulumi.Config()
    file = Path(__file__).parent.parent / (config.get("platform-file") or "../platform.yaml")
    platform = load_platform(file.resolve(), today(SystemClock()))
    paths = Paths.from_environment()
    images = config.get_object("images") or image_references(platform)
    rendered = config.get("dashboards")
    dashboards = (
        {file.name: file.read_text() for file in sorted(Path(rendered).glob("*.json"))} if rendered else {}
    )
    store = FileSecretStore(paths.secrets(platform.name))
    around = Surroundings(platform, paths, store, images, dashboards)
    stack = StackName.parse(pulumi.get_stack())
    if stack.kind == "region":
        region_program(region_args(around, stack.subject))()
    else:
        edge_program(edge_args(around, stack.subject))()


main()
