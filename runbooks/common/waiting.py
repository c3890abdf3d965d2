"""Waiting for what a cluster does in its own time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from runbooks.engine.model import StepContext
from vitalops.errors import GateFailed, RemoteError

POLL_SECONDS = 1.0


def wait_until(
    context: StepContext[Any], what: str, reached: Callable[[], str], *, poll: float = POLL_SECONDS
) -> float:
    """Ask until `reached` gives no reason to wait any longer. Returns the seconds that it took.

    Raises GateFailed with the last reason when the step's time is over. A cluster that does not answer for a moment
    is asked again.
    """
    clock = context.running.clock
    began = clock.monotonic()
    while True:
        try:
            reason = reached()
        except RemoteError as error:
            reason = error.message
        if not reason:
            return clock.monotonic() - began
        if clock.monotonic() - began >= context.seconds:
            raise GateFailed(f"{what}: {reason} after {context.seconds:g} s")
        context.progress.step(what, reason)
        clock.sleep(poll)
