"""`vitalops preview`: what `up` would change."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from infra.engines.protocol import Outcome
from infra.operations.setting import Setting, stacks


def preview(setting: Setting) -> tuple[Outcome, ...]:
    """One outcome for each stack. Raises VitalopsError where a cluster is not reached. Changes nothing."""
    from infra.local.images.build import image_references

    engine = setting.make_engine()
    regions, edges = stacks(setting, image_references(setting.platform))
    chosen = (*regions, *edges)
    with ThreadPoolExecutor(max_workers=max(len(chosen), 1)) as pool:
        return tuple(pool.map(engine.preview, chosen))
