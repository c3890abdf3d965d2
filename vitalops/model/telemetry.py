"""How the platform is observed: metrics, traces, logs, alerts, the prober, and windows of planned work."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from vitalops.model.base import DnsLabel, Frozen, MemoryQuantity, Text


class Prober(Frozen):
    """Synthetic consultations: they keep SLIs alive when nobody calls."""

    enabled: bool = True
    interval_seconds: Annotated[int, Field(ge=10, le=3600)] = 60


class Grafana(Frozen):
    image: Text
    """Grafana's image, as the cluster can pull it; dashboards are provisioned with it."""


class Telemetry(Frozen):
    scrape_interval_seconds: Annotated[int, Field(ge=1, le=60)] = 5
    retention_days: Annotated[int, Field(ge=1, le=400)] = 35
    """Metrics are kept this long: longer than the longest window of an objective."""
    storage: MemoryQuantity = "4Gi"
    trace_ratio: Annotated[float, Field(ge=0, le=1)] = 1.0
    """Share of traces that are recorded; decided where a trace begins."""
    log_retention_days: Annotated[int, Field(ge=1, le=400)] = 7
    prober: Prober = Prober()
    grafana: Grafana | None = None
    """Absent: dashboards are written by `vitalops dashboards`, and nothing shows them in the regions."""


class Webhook(Frozen):
    """Where Alertmanager sends alerts, with a bearer token that the suite makes."""

    name: DnsLabel
    url: Annotated[
        str, StringConstraints(pattern=r"^https?://[^\s/]+(/\S*)?$"), Field(title="an http or https URL")
    ]
    severities: Annotated[tuple[Literal["page", "ticket"], ...], Field(min_length=1)] = ("page", "ticket")
    trust: Literal["system", "platform"] = "system"
    """Who may have signed its certificate: `platform` for `vitalops runbook serve`."""


class Alerting(Frozen):
    webhooks: tuple[Webhook, ...] = ()


class PlannedWork(Frozen):
    """A window that neither pages nor counts against error budgets, and says so."""

    start: datetime
    """With its offset from UTC, as 2026-12-01T22:00:00Z."""
    end: datetime
    reason: Text
    regions: tuple[DnsLabel, ...] | None = None
    """All where absent."""
    services: tuple[DnsLabel, ...] | None = None
    """All where absent."""
