"""`vitalops up`: from whatever there is to a platform that is ready in every chosen region.

For local regions the machine is prepared first. What can overlap does: the regions boot while images that do not need
their cluster are built, and both regions' stacks go side by side.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.engines.protocol import Engine, Outcome, Stack
from infra.engines.rollout import Stopped
from infra.operations.edge import authority_file, bring_up_edge
from infra.operations.pairs import agree
from infra.operations.setting import Setting, stacks
from infra.program.state import active_region
from vitalops.errors import UsageError
from vitalops.ports.progress import Progress


@dataclass(frozen=True, slots=True)
class EdgeOutcome:
    pair: str
    url: str
    active_region: str
    action: str
    """`started`, `reloaded` or `unchanged`; `external` where the edge is not a process of this machine."""


@dataclass(frozen=True, slots=True)
class UpResult:
    """What `up` did. `prepared` are seconds for regions and images, `seconds` for everything."""

    engine: str
    stacks: tuple[Outcome, ...]
    edges: tuple[EdgeOutcome, ...]
    authority: Path
    prepared: float
    seconds: float


def up(setting: Setting, progress: Progress) -> UpResult:
    """Raises VitalopsError: nothing is left that the next `up` does not repair."""
    from infra.local.images.build import image_references

    began = time.monotonic()
    setting.require_pairs()
    require_registry(setting)
    refuse_taken_ports(setting)
    # What was loaded, not what would be built now: code may have been edited meanwhile.
    images = prepare(setting, progress) if setting.local_regions else image_references(setting.platform)
    prepared = time.monotonic() - began
    agree(setting)
    engine = setting.make_engine()
    regions, edges = stacks(setting, images)
    outcomes = [*side_by_side(engine, regions, progress), *side_by_side(engine, edges, progress)]
    made: list[EdgeOutcome] = []
    for pair in setting.pairs:
        action = bring_up_edge(setting, pair, progress) if setting.has_edge_here(pair) else "external"
        active = active_region(setting.paths.state, setting.platform.name, pair)
        made.append(EdgeOutcome(pair.name, pair.edge.public_url, active, action))
    return UpResult(
        engine.name, tuple(outcomes), tuple(made), authority_file(setting), prepared, time.monotonic() - began
    )


def require_registry(setting: Setting) -> None:
    """Raises UsageError where a cluster elsewhere could pull no image."""
    elsewhere = [name for name in setting.regions if name not in setting.local_regions]
    if elsewhere and setting.platform.images.registry is None:
        raise UsageError(
            f"region {elsewhere[0]} is no local region, so its images must come from a registry",
            hint="set images.registry in platform.yaml, then: vitalops images push",
        )


def refuse_taken_ports(setting: Setting) -> None:
    """A taken port is said before minutes of work, not after."""
    for pair in setting.pairs:
        process = setting.edge_process(pair)
        if setting.has_edge_here(pair) and process.pid() is None:
            process.end_orphans()
            process.require_free_port()


def prepare(setting: Setting, progress: Progress) -> dict[str, str]:
    """Local regions up, and every image in each of them. Returns the images' references by name."""
    from infra.local.images.build import build
    from infra.local.images.definitions import tool_groups
    from infra.local.images.load import load
    from infra.local.regions import manager
    from infra.local.toolchain.manager import Toolchain, ensure, ensure_regions

    names, platform = setting.local_regions, setting.platform
    manager.require_local()

    with ThreadPoolExecutor(max_workers=3, thread_name_prefix="prepare") as pool:
        tools = pool.submit(ensure_regions, progress)

        def image_tools() -> Toolchain:
            # What the regions need is made first, so that they boot while what the images hold still compiles.
            tools.result()
            return ensure(tool_groups(), progress)

        built = pool.submit(lambda: build(platform, None, progress, toolchain=image_tools))
        started = pool.submit(lambda: manager.start(platform, names, progress, toolchain=tools.result()))
        first_error([tools, built, started])
        images = built.result()
        load(names, images, progress)
    return {name: image.reference for name, image in images.items()}


def side_by_side(engine: Engine, chosen: tuple[Stack, ...], progress: Progress) -> list[Outcome]:
    """All stacks at once. The first that fails ends the others, whose work the next run takes up again."""
    if not chosen:
        return []
    stop: Callable[[], None] = getattr(engine, "stop_all", lambda: None)
    with ThreadPoolExecutor(max_workers=len(chosen), thread_name_prefix="stack") as pool:
        futures = [pool.submit(engine.up, stack, progress) for stack in chosen]
        try:
            wait(futures, return_when=FIRST_EXCEPTION)
        finally:
            if any(not future.done() or future.exception() for future in futures):
                stop()
        wait(futures)
    first_error(futures)
    return [future.result() for future in futures]


def first_error(futures: Sequence[Future[Any]]) -> None:
    """Raise the first future's error; that something was stopped because of another's error says nothing."""
    wait(futures)
    errors = [error for future in futures if (error := future.exception()) is not None]
    errors.sort(key=lambda error: isinstance(error, Stopped))
    if errors:
        raise errors[0]
