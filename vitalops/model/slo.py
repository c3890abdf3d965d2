"""Service level indicators as the platform's owner declares them, and the tiers that set objectives for services.

An SLI says what is measured, once; a tier (and a service, where it differs) says how much of it is promised. What of
this applies to which service is worked out in `vitalops.slo.objectives`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from vitalops.model.base import DnsLabel, Frozen, Text

MetricName = Annotated[
    str,
    StringConstraints(pattern=r"^[a-zA-Z_:][a-zA-Z0-9_:]{0,199}$"),
    Field(title="a Prometheus metric name: letters, digits, underscores and colons"),
]
LabelName = Annotated[
    str,
    StringConstraints(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]{0,99}$"),
    Field(title="a Prometheus label name: letters, digits and underscores"),
]
Objective = Annotated[float, Field(gt=0, lt=1, title="a share above 0 and below 1 such as 0.999")]

LabelValues = Annotated[tuple[Text, ...], Field(min_length=1)]


class Selector(Frozen):
    """Which series of a metric are meant. In a value, `{service}` stands for the service's name."""

    metric: MetricName
    labels: dict[LabelName, LabelValues] = Field(default_factory=dict)
    """Labels that must have one of the values."""
    without: dict[LabelName, LabelValues] = Field(default_factory=dict)
    """Labels that must have none of the values."""


class _Sli(Frozen):
    description: Text
    """What a patient, a practitioner or a device notices when it is bad."""
    runbook: DnsLabel
    """The runbook that answers its alerts."""
    traffic: Literal["real", "synthetic"] = "real"
    """Whose events count towards the objective. The prober's are always recorded apart."""
    minimum_failures: Annotated[int, Field(ge=1, le=1000)] | None = None
    """Fewest failures within an alert's short window for it to fire; the windows' own where absent."""


class RatioSli(_Sli):
    """Share of events that were good, from two counters: all events, and the good or the bad ones."""

    kind: Literal["ratio"]
    total: Selector
    good: Selector | None = None
    """Exactly one of `good` and `bad` is given."""
    bad: Selector | None = None


class LatencySli(_Sli):
    """Share of events that took at most `threshold_ms`, from a histogram with a bucket of that bound."""

    kind: Literal["latency"]
    histogram: Selector
    """The metric's name is without `_bucket`; the histogram is in seconds."""
    threshold_ms: Annotated[int, Field(gt=0)]


class QualitySli(_Sli):
    """Share of media streams that were good, of those that could be judged: Teams' states good, poor, unclassified."""

    kind: Literal["quality"]
    streams: Selector
    """A counter of streams with a label that holds the state."""
    state_label: LabelName = "state"
    good: LabelValues = ("good",)
    poor: LabelValues = ("poor",)


Sli = Annotated[RatioSli | LatencySli | QualitySli, Field(discriminator="kind")]


class Tier(Frozen):
    """How much is promised for services of one importance."""

    name: DnsLabel
    pages: bool = True
    """Whether fast burn wakes somebody; otherwise everything is a ticket."""
    window_days: Annotated[int, Field(ge=1, le=90)] = 30
    """Length of the rolling window that the error budget is for."""
    objectives: dict[DnsLabel, Objective] = Field(default_factory=dict)
    """SLI -> share of good events."""
