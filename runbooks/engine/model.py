"""What a runbook is: typed parameters, steps with check, apply, verify and undo, its risk, and what it answers.

A runbook is a module of `runbooks` with a constant `RUNBOOK`. Its functions act on the ports of
`vitalops.ports.running` alone, so that they run the same on a cluster and on the in-memory fakes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Generic, TypeVar

from vitalops.model.base import Frozen
from vitalops.model.platform import Platform
from vitalops.ports.progress import Progress
from vitalops.ports.running import RunningPlatform


class Parameters(Frozen):
    """Base of a runbook's parameters. Each field's docstring is its help on the command line and in the docs."""


P = TypeVar("P", bound=Parameters)


class Risk(StrEnum):
    """What can go wrong, and therefore who must agree."""

    READS = "reads"
    """Changes nothing that anybody notices: runs without being asked for."""
    CHANGES = "changes"
    """Changes something that can be changed back: asks unless --yes; alerts may start it."""
    DISRUPTS = "disrupts"
    """Interrupts, or cannot simply be changed back: somebody else than the requester approves it."""

    @property
    def acts(self) -> bool:
        """Whether it changes anything: what only reads locks nothing, and is not limited."""
        return self is not Risk.READS


@dataclass(frozen=True, slots=True)
class Target:
    """What a run acts on and locks: `pair/france`, `region/fr-par`, `service/fr-par.records`."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"


@dataclass(frozen=True, slots=True)
class Change:
    """One line of a plan: what is there, and what will be."""

    what: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a step's check found. Where nothing is needed, `apply` is not called.

    `facts` are kept before `apply` begins, and are part of the step's output from then on: what `undo` must know of how
    things were, and what later steps need although `apply` was not called. Of a check that is called again after a
    crash only the facts that the first one did not give are taken: it saw things as they were.
    """

    needed: bool
    detail: str
    changes: tuple[Change, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @staticmethod
    def done(detail: str, facts: Mapping[str, Any] | None = None) -> Verdict:
        """The step's effect is there already."""
        return Verdict(False, detail, (), facts or {})

    @staticmethod
    def due(detail: str, *changes: Change, facts: Mapping[str, Any] | None = None) -> Verdict:
        """`apply` is to be called."""
        return Verdict(True, detail, changes, facts or {})


@dataclass(frozen=True, slots=True)
class RunFacts:
    """The run that a step is part of. `token` is the fencing token of its lock: later runs have higher ones. In a plan
    it is 0, and `run` is empty."""

    run: str
    requester: str
    reason: str
    token: int
    started: float
    """Seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class StepContext(Generic[P]):
    """What a step's functions are given. `outputs` are those of the steps before, by step name, and its own facts.

    In a plan, steps that would act have given none: a check that needs them raises KeyError or GateFailed, and is shown
    as not known yet.
    """

    parameters: P
    running: RunningPlatform
    facts: RunFacts
    outputs: Mapping[str, Mapping[str, Any]]
    progress: Progress
    seconds: float
    """Time limit of the step: what waits, waits no longer."""


Output = Mapping[str, Any]
"""JSON: figures and names for the journal and for later steps. No secrets, no patient data."""


def _nothing_to_verify(_: StepContext[Any]) -> None:
    return


@dataclass(frozen=True, slots=True)
class Step(Generic[P]):
    """One step. Every function may be called again after a crash; `check` always comes first and is never skipped.

    check   what there is, and whether something is to be done. Changes nothing. Raises UsageError where the operation
            must be refused: nothing has been changed by this step then.
    apply   does it, or finishes what an earlier attempt began.
    verify  raises GateFailed where the effect is not there.
    undo    takes the effect back, or as much of it as there is: `apply` may have failed half-way, or never have begun.
            Absent where that makes no sense, and `lasting` says why.

    Each function has the step's time limit for itself. One that takes longer fails the step; Python cannot stop its
    thread, so nothing is undone then: it might still be acting.
    """

    name: str
    summary: str
    limit_seconds: float
    check: Callable[[StepContext[P]], Verdict]
    apply: Callable[[StepContext[P]], Output]
    verify: Callable[[StepContext[P]], None] = _nothing_to_verify
    undo: Callable[[StepContext[P]], None] | None = None
    lasting: str = ""
    reads_only: bool = False
    """A step that only looks: run by `--dry-run` too, and `apply` gathers facts."""


@dataclass(frozen=True, slots=True)
class AlertBinding(Generic[P]):
    """An alert that a runbook answers. `parameters` gets the alert's labels; None means that this one is not meant."""

    alert: str
    parameters: Callable[[Mapping[str, str], Platform], P | None]
    starts: bool = False
    """Whether the alert alone starts it; otherwise it is proposed and waits for a person's approval."""


@dataclass(frozen=True, slots=True)
class Runbook(Generic[P]):
    name: str
    summary: str
    """One line: what is better afterwards."""
    description: str
    """Markdown for its page: when to use it, what a person sees, what to do when it stops."""
    risk: Risk
    parameters: type[P]
    example: str
    """A command line that works on the bundled platform."""
    targets: Callable[[P, Platform], tuple[Target, ...]]
    """What is locked. Raises UsageError for a target that there is not."""
    steps: tuple[Step[P], ...]
    regions: Callable[[P, Platform], tuple[str, ...]]
    """Regions that it touches, for the limit on the blast radius."""
    protects: tuple[str, ...] = ()
    """SLIs whose budget is shown before and after."""
    answers: tuple[AlertBinding[P], ...] = ()
    unattended: bool = False
    """Whether it may run without approval although it DISRUPTS, when the platform says so (automatic failover)."""
    undoes_on_failure: bool = True
    """Whether the steps done are undone, last first, when one fails; otherwise it stops and says where."""
    rehearsal: str = ""
    """How it is proven: the cluster test, as a path."""
    tags: tuple[str, ...] = field(default=())
