"""Which runbook answers an incident. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from runbooks.engine.model import Parameters, Runbook
from runbooks.serve.incidents import Incident
from vitalops import conventions as c
from vitalops.errors import UsageError
from vitalops.model.platform import Platform


@dataclass(frozen=True, slots=True)
class Answer:
    """What to start. `starts`: at once; otherwise a person is asked first."""

    runbook: Runbook[Any]
    parameters: Parameters
    starts: bool


def answer(incident: Incident, runbooks: Sequence[Runbook[Any]], platform: Platform) -> Answer | None:
    """The runbook that its alert's label names before all others that answer it; None where none does.

    Raises UsageError where the alert's labels are not those of a pair that may say so, or where a runbook cannot read
    them.
    """
    pair = platform.pairs.get(incident.pair)
    if pair is None:
        raise UsageError(f"there is no pair {incident.pair} any more")
    if incident.region and incident.region not in (pair.primary, pair.standby):
        raise UsageError(
            f"the token is that of {pair.name}, to which region {incident.region} does not belong"
        )
    named = incident.labels.get(c.METRIC_RUNBOOK, "")
    for runbook in sorted(runbooks, key=lambda each: each.name != named):
        for binding in runbook.answers:
            if binding.alert != incident.name:
                continue
            try:
                parameters = binding.parameters(incident.labels, platform)
            except (UsageError, ValueError, KeyError) as error:
                raise UsageError(f"{runbook.name} cannot read the alert's labels: {error}") from None
            if parameters is not None:
                return Answer(runbook, parameters, binding.starts)
    return None
