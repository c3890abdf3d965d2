"""What is left of the error budgets that a runbook protects, as the regions' own recording rules say."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Final

from vitalops import conventions as c
from vitalops.errors import VitalopsError
from vitalops.ports.running import RunningPlatform

SECONDS: Final = 3.0
"""Asking for budgets never holds an operation up for longer."""


def budget_left(
    running: RunningPlatform, regions: Sequence[str], slis: Sequence[str]
) -> dict[str, float | None]:
    """Share of the budget that is left, by `region/sli`: the least of the services'. None where nobody says.

    A spent budget is negative. Never raises, and takes no longer than SECONDS.
    """
    if not slis:
        return {}
    pool = ThreadPoolExecutor(max_workers=max(len(regions), 1), thread_name_prefix="budget")
    asked = {region: pool.submit(_ask, running, region) for region in regions}
    wait(asked.values(), timeout=SECONDS)
    pool.shutdown(wait=False, cancel_futures=True)
    found: dict[str, float | None] = {}
    for region, future in asked.items():
        answered = future.result() if future.done() and not future.cancelled() else {}
        for sli in slis:
            found[f"{region}/{sli}"] = answered.get(sli)
    return found


def _ask(running: RunningPlatform, region: str) -> dict[str, float]:
    try:
        samples = running.metrics(region).instant(c.RECORD_BUDGET_LEFT)
    except (VitalopsError, OSError):
        return {}
    least: dict[str, float] = {}
    for sample in samples:
        sli = sample.labels.get(c.METRIC_SLI, "")
        least[sli] = min(sample.value, least.get(sli, sample.value))
    return {sli: round(value, 4) for sli, value in least.items()}


class Asked:
    """The same, asked in the background so that nothing waits for it."""

    def __init__(self, ask: Callable[[], dict[str, float | None]]) -> None:
        self._found: dict[str, float | None] | None = None
        self._ask = ask
        threading.Thread(target=self._run, name="budget", daemon=True).start()

    def _run(self) -> None:
        self._found = self._ask()

    def take(self) -> dict[str, float | None] | None:
        """The answer, once: None before it is there, and after it was taken."""
        found, self._found = self._found, None
        return found
