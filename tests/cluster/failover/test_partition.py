"""The old primary is cut off and comes back at each moment of the failover: it never acknowledges what is lost.

The pair moves to and fro, so that after an even number of moments it is as it was.
"""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest

from infra.operations.running import OperatedPlatform
from runbooks import region_failover
from runbooks.common.moving import FENCE, PREFLIGHT, PROMOTE, TRAFFIC
from runbooks.engine.model import RunFacts, StepContext
from runbooks.region_failover import FailoverParameters
from tests.cluster.conftest import RunningPlatform
from tests.cluster.failover.conftest import until_replicating
from tests.cluster.failover.partitions import Databases, Writer, found, partitioned, table
from vitalops.ports.progress import SilentProgress

pytestmark = pytest.mark.rehearsal

STEPS = (PREFLIGHT, FENCE, PROMOTE, TRAFFIC)
MOMENTS = ("before the fence", "before the promotion", "during the promotion", "after the promotion")


class Steps:
    """The runbook's steps up to the switch of traffic, one by one."""

    def __init__(self, operated: OperatedPlatform, to: str) -> None:
        now = time.time()
        self._facts = RunFacts("partition", "a test", "the proof", int(now * 1000), now)
        self._context: StepContext[Any] = StepContext(
            FailoverParameters(to=to), operated, self._facts, {}, SilentProgress(), 60.0
        )
        self._steps = {step.name: step for step in region_failover.RUNBOOK.steps}

    def do(self, name: str) -> None:
        step = self._steps[name]
        verdict = step.check(self._context)
        outputs = {**self._context.outputs, name: dict(verdict.facts)}
        self._context = replace(self._context, outputs=outputs, seconds=step.limit_seconds)
        if verdict.needed:
            outputs[name] = {**outputs[name], **step.apply(self._context)}
            step.verify(self._context)


@pytest.mark.usefixtures("operated")
def test_the_old_primary_never_acknowledges_what_is_lost_whenever_it_comes_back(
    running_platform: RunningPlatform, operated: OperatedPlatform, databases: Databases
) -> None:
    pair = running_platform.pair
    active, standby = pair.primary, pair.standby
    with table(databases, active, "test_partition") as name:
        for moment in MOMENTS:
            _fail_over_and_heal(running_platform, operated, databases, name, active, standby, moment)
            active, standby = standby, active
    assert active == pair.primary


def _fail_over_and_heal(
    running_platform: RunningPlatform,
    operated: OperatedPlatform,
    databases: Databases,
    name: str,
    old: str,
    new: str,
    moment: str,
) -> None:
    until_replicating(operated, old, new)
    offset = max(found(databases, old, name), default=0) // 1000 * 1000 + 1000
    steps = Steps(operated, new)
    with (
        Writer(databases, name, (old,), step=2, first=offset) as left,
        Writer(databases, name, (new,), step=2, first=offset + 1) as ahead,
        ExitStack() as cuts,
    ):
        left.until(20)
        cuts.enter_context(partitioned(running_platform.platform, old, new))
        steps.do(PREFLIGHT)
        if moment == "before the fence":
            cuts.close()
        steps.do(FENCE)
        if moment == "before the promotion":
            cuts.close()
        if moment == "during the promotion":
            healing = threading.Timer(0.1, cuts.close)
            healing.start()
            steps.do(PROMOTE)
            healing.join()
        else:
            steps.do(PROMOTE)
        steps.do(TRAFFIC)
        ahead.until(20, region=new)
        cuts.close()
        until_replicating(operated, new, old)
        ahead.until(5, region=new)
    kept = found(databases, new, name)
    acknowledged = {number for writer in (left, ahead) for number, _, _ in writer.acknowledged}
    assert acknowledged <= kept, f"{moment}: lost {sorted(acknowledged - kept)[:5]}"
    first = min(at for _, at, _ in ahead.acknowledged)
    assert left.last_by(old) < first, f"{moment}: {old} acknowledged after {new} did"
