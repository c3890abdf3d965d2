"""What a failover took and cost, against the pair's promises: from its journal, its ledger and the witness. Pure.

Times are seconds after the loss. For a planned switchover the loss is the moment from which requests waited.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

from vitalops.errors import UsageError
from vitalops.evidence.record import Entry as Kept
from vitalops.evidence.record import RecordKind
from vitalops.ledger.book import Contents
from vitalops.ledger.compare import Comparison
from vitalops.ledger.entries import Entry, Outcome
from vitalops.model.platform import FailoverPair

RUNBOOKS: Final = ("region-failover", "region-failback")
_INCIDENT: Final = re.compile(r"\b(loss-[a-z0-9-]+-[0-9]+)\b")
_MOMENTS: Final = {"promote": "writable_at", "traffic": "switched_at", "consultation": "good_at"}
"""Outputs of the runbook's steps that say when their effect was there; elsewhere the journal's own time counts."""


@dataclass(frozen=True, slots=True)
class Milestone:
    """`seconds` after the loss; `at` is seconds since the epoch."""

    name: str
    seconds: float
    at: float
    source: str
    """Who says so: `witness`, `journal` or `ledger`."""


@dataclass(frozen=True, slots=True)
class FailoverReport:
    run: str
    pair: str
    source: str
    target: str
    planned: bool
    outcome: str
    loss_at: float
    loss_known_by: str
    milestones: tuple[Milestone, ...]
    """In the order in which they came."""
    ledger: str
    """Empty where none was written during it."""
    write_pause: float | None
    """Longest time without an acknowledged write about the loss."""
    last_before: float | None
    """Seconds before the loss at which the last write was acknowledged."""
    lost: int | None
    """Acknowledged writes that are not there; None where nobody looked."""
    duplicated: int | None
    out_of_order: int | None
    acknowledged: int
    rpo_measured: float | None
    """Age at the loss of the oldest acknowledged write that is lost; 0 where none is."""
    rto_target: int
    rpo_target: int

    rto_measured: float | None = field(init=False)
    """Until the first good consultation, which needs everything else."""
    holds: bool = field(init=False)
    """Whether both promises were kept, as far as they were measured, and the run ended well."""

    def __post_init__(self) -> None:
        rto, rpo = self.after("first good consultation"), self.rpo_measured
        kept = rto is not None and rto <= self.rto_target and (rpo is None or rpo <= self.rpo_target)
        ordered = not self.duplicated and not self.out_of_order
        object.__setattr__(self, "rto_measured", rto)
        object.__setattr__(self, "holds", self.outcome == "succeeded" and kept and ordered)

    def after(self, name: str) -> float | None:
        """Seconds after the loss at which a milestone came."""
        return next((each.seconds for each in self.milestones if each.name == name), None)


def latest_run(entries: Iterable[Kept], pair: str) -> str:
    """The failover that was begun last. Raises UsageError where there is none."""
    target, found = f"pair/{pair}", ""
    for entry in entries:
        record = entry.record
        if record.kind is RecordKind.STARTED and record.name in RUNBOOKS and target in record.target.split():
            found = record.operation
    if not found:
        raise UsageError(f"the journal holds no failover of {pair}", hint="vitalops runbook history")
    return found


def report_of(
    pair: FailoverPair,
    entries: Sequence[Kept],
    run: str,
    contents: Contents | None = None,
    comparison: Comparison | None = None,
    loss_at: float | None = None,
) -> FailoverReport:
    """The report of one run. `loss_at` is when the region was lost, where somebody knows better than the witness.

    Raises UsageError where the journal has no such run, or does not say when it began.
    """
    own = [entry for entry in entries if entry.record.operation == run]
    if not own:
        raise UsageError(f"the journal holds nothing of {run}", hint="vitalops runbook history")
    outputs = _outputs(own)
    before = outputs.get("preflight", {})
    started = next((e.at.timestamp() for e in own if e.record.kind is RecordKind.STARTED), None)
    if started is None:
        raise UsageError(f"{run} has not begun", hint=f"vitalops runbook show {run}")
    planned = bool(_parameters(own).get("planned", own[0].record.name == "region-failback"))
    observed = _observed(entries, own)
    loss, known_by = _loss(loss_at, observed, outputs, started, planned)
    found = [("decision", started, "journal"), *_steps(own, outputs)]
    if observed is not None:
        found.append(("detection", float(observed["decided"]), "witness"))
    target = str(before.get("target", _parameters(own).get("to", "")))
    found += _from_ledger(contents, loss, target)
    if contents is None or not any(name == "first good consultation" for name, _, _ in found):
        good = outputs.get("consultation", {}).get("good_at")
        if good is not None:
            found.append(("first good consultation", float(good), "journal"))
    milestones = sorted(
        (Milestone(name, round(at - loss, 3), at, by) for name, at, by in found), key=lambda each: each.at
    )
    acknowledged = sorted(_acknowledged(contents), key=lambda each: each.ended)
    last = max((each.ended for each in acknowledged if each.ended <= loss), default=None)
    outcome = next(
        (str(e.record.data.get("outcome", "")) for e in own if e.record.kind is RecordKind.FINISHED),
        "goes on",
    )
    return FailoverReport(
        run=run,
        pair=pair.name,
        source=str(before.get("source", "")),
        target=target,
        planned=planned,
        outcome=outcome,
        loss_at=loss,
        loss_known_by=known_by,
        milestones=tuple(milestones),
        ledger=contents.name if contents is not None else "",
        write_pause=_pause(acknowledged, loss),
        last_before=round(loss - last, 3) if last is not None else None,
        lost=len(comparison.lost) if comparison is not None else None,
        duplicated=len(comparison.duplicated) if comparison is not None else None,
        out_of_order=len(comparison.out_of_order) if comparison is not None else None,
        acknowledged=len(acknowledged),
        rpo_measured=_rpo(acknowledged, comparison, loss),
        rto_target=pair.rto_seconds,
        rpo_target=pair.rpo_seconds,
    )


def _parameters(own: Sequence[Kept]) -> Mapping[str, Any]:
    for entry in own:
        if entry.record.kind is RecordKind.REQUESTED:
            return dict(entry.record.data.get("parameters", {}))
    return {}


def _outputs(own: Sequence[Kept]) -> dict[str, dict[str, Any]]:
    """What the steps gave, by step: their checks' facts and their effects' figures."""
    made: dict[str, dict[str, Any]] = {}
    for entry in own:
        data = entry.record.data
        if entry.record.kind is RecordKind.STEP and "step" in data:
            step = made.setdefault(str(data["step"]), {})
            step.update(data.get("facts", {}))
            step.update(data.get("output", {}))
    return made


def _observed(entries: Sequence[Kept], own: Sequence[Kept]) -> Mapping[str, Any] | None:
    """What the witness recorded of the loss that the run answers."""
    match = _INCIDENT.search(own[0].record.reason)
    for entry in entries:
        record = entry.record
        if match and record.kind is RecordKind.OBSERVED and record.operation == match[1]:
            return record.data
    return None


def _loss(
    given: float | None,
    observed: Mapping[str, Any] | None,
    outputs: Mapping[str, Mapping[str, Any]],
    started: float,
    planned: bool,
) -> tuple[float, str]:
    if given is not None:
        return given, "given"
    if observed is not None:
        return float(observed["silent_since"]), "the last answer that anybody had"
    paused = outputs.get("fence", {}).get("paused_at")
    if planned and paused is not None:
        return float(paused), "when requests began to wait"
    return started, "when the run began"


def _steps(own: Sequence[Kept], outputs: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, float, str]]:
    names = {"fence": "fence", "promote": "promotion", "traffic": "traffic"}
    found: list[tuple[str, float, str]] = []
    for step, name in names.items():
        moment = outputs.get(step, {}).get(_MOMENTS.get(step, ""))
        ends = [
            entry.at.timestamp()
            for entry in own
            if entry.record.data.get("step") == step and entry.record.data.get("what") in ("applied", "done")
        ]
        if moment is not None:
            found.append((name, float(moment), "journal"))
        elif ends:
            found.append((name, ends[0], "journal"))
    return found


def _acknowledged(contents: Contents | None) -> list[Entry]:
    entries = contents.entries if contents is not None else ()
    return [entry for entry in entries if entry.outcome is Outcome.ACKNOWLEDGED]


def _from_ledger(contents: Contents | None, loss: float, target: str) -> list[tuple[str, float, str]]:
    if contents is None:
        return []
    # A region takes a moment to die, and its last answers are not the first ones of the other.
    writes = [
        each.ended
        for each in _acknowledged(contents)
        if each.acknowledged_try >= loss and each.region in ("", target)
    ]
    visits = [each.ended for each in contents.visits if each.passed and each.started >= loss]
    found: list[tuple[str, float, str]] = []
    if writes:
        found.append(("first acknowledged write", min(writes), "ledger"))
    if visits:
        found.append(("first good consultation", min(visits), "ledger"))
    return found


def _pause(acknowledged: Sequence[Entry], loss: float) -> float | None:
    """The longest gap between two acknowledgements of which the later one came after the loss."""
    times = [each.ended for each in acknowledged]
    gaps = [after - before for before, after in pairwise(times) if after >= loss]
    return round(max(gaps), 3) if gaps else None


def _rpo(acknowledged: Sequence[Entry], comparison: Comparison | None, loss: float) -> float | None:
    if comparison is None:
        return None
    gone = {(each.kind, each.subject, each.number) for each in comparison.lost}
    ages = [loss - each.ended for each in acknowledged if (each.kind, each.subject, each.number) in gone]
    return round(max([0.0, *ages]), 3)
