"""`vitalops down`: the platform off its regions, in the reverse order of `up`."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait

from infra.engines.protocol import Outcome
from infra.operations.setting import Setting, stacks
from infra.operations.up import first_error
from vitalops.ports.progress import Progress


def down(setting: Setting, progress: Progress) -> tuple[Outcome, ...]:
    """Ends the edges, then removes every stack's objects with all their data. Secrets and regions stay.

    Raises VitalopsError where a cluster is not reached; the next run goes on from there.
    """
    from infra.local.images.build import image_references

    engine = setting.make_engine()
    regions, edges = stacks(setting, image_references(setting.platform))
    for pair in setting.pairs:
        if setting.has_edge_here(pair):
            setting.edge_process(pair).stop()
    outcomes: list[Outcome] = [engine.destroy(stack, progress) for stack in edges]
    with ThreadPoolExecutor(max_workers=max(len(regions), 1)) as pool:
        futures = [pool.submit(engine.destroy, stack, progress) for stack in regions]
        wait(futures)
    first_error(futures)
    return (*outcomes, *(future.result() for future in futures))
