"""What must be so before a pair's active region is moved. Refusals change nothing; warnings are kept in the journal.

Refused always: a target that is not certified for the data, a split state, no reachable region, a target without a
database that can be promoted, clocks that differ, both regions down. Refused when planned: replication that is not
caught up, workloads of the target that are not ready, certificates that run out. When the active region is lost these
are warned of: the alternative is no service at all. The error budget is shown and refuses nothing: it is spent by the
outage that this ends. How fresh the last rehearsal is, `vitalops runbook list` says.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Final

from runbooks.common.standings import PairView
from vitalops import conventions as c
from vitalops.errors import RemoteError, UsageError
from vitalops.model.platform import FailoverPair, Platform
from vitalops.model.residency import placement_gaps, transfer_gaps
from vitalops.model.selection import other_region, services_of
from vitalops.pki.inspect import expires
from vitalops.ports.clock import today
from vitalops.ports.database import DatabaseRole
from vitalops.ports.running import RunningPlatform

BEHIND_BYTES: Final = 16 * 1024 * 1024
"""A standby that is further behind is not switched over to: catching up would be a pause in service."""
EXPIRES_SOON: Final = timedelta(days=1)
_CERTIFICATES: Final = ((c.NAMESPACE_DATA, "postgres-tls"), (c.NAMESPACE_GATEWAY, "gateway-tls"))


def require_lawful(running: RunningPlatform, pair: FailoverPair, target: str) -> None:
    """Raises UsageError for a region that may not hold the pair's data, whatever was asked for."""
    platform, date = running.platform, today(running.clock)
    region, source = platform.regions[target], platform.regions[other_region(pair, target)]
    for service in services_of(platform, pair.name):
        gaps = (
            *placement_gaps(region, service.data_class, date),
            *transfer_gaps(source, region, service.data_class, date),
        )
        if gaps:
            raise UsageError(
                f"{target} may not serve {service.data_class} data ({service.name}): it {gaps[0].problem}",
                hint=gaps[0].remedy,
            )


def require_sound(view: PairView, platform: Platform, target: str) -> None:
    """Raises UsageError where acting would make things worse."""
    if not view.states:
        reasons = "; ".join(view.problems[region] for region in sorted(view.problems))
        raise UsageError(f"both regions of {view.pair.name} are out of reach: {reasons}")
    if view.split:
        raise UsageError(
            f"pair {view.pair.name} is split: {view.split}",
            hint="decide by hand whose writes count; see docs/runbooks/region-failover.md",
        )
    if target not in view.states:
        raise UsageError(f"{target} cannot take over: {view.problems.get(target, 'it is out of reach')}")
    limit = platform.operations.clock_skew_seconds
    for region, seconds in view.skew.items():
        if seconds > limit:
            raise UsageError(
                f"the clock of {region} differs by {seconds:.1f} s from this machine's, and {limit:g} s are allowed",
                hint="set the clocks right first: what is reported and recorded would be wrong",
            )


def require_promotable(view: PairView, target: str) -> None:
    state = view.states[target]
    if state.role is DatabaseRole.NONE:
        raise UsageError(
            f"the database of {target} takes no connections", hint=f"see: vitalops status {target}"
        )
    if state.guard is not None and not state.guard.met:
        raise UsageError(f"{target} has never replicated from the other region: there is nothing to promote")


def require_caught_up(view: PairView, source: str, target: str) -> None:
    """For what is planned: the active region is there, and the other one follows it closely."""
    if source not in view.states:
        raise UsageError(
            f"{source} is out of reach, so nothing can be planned with it: {view.problems.get(source, '')}",
            hint="leave --planned out when it is lost",
        )
    active, standby = view.states[source], view.states[target]
    if not active.writable:
        raise UsageError(f"{source} takes no writes: {active.fenced or 'see vitalops status'}")
    if not active.followers:
        raise UsageError(f"{target} does not replicate from {source}", hint=f"see: vitalops status {target}")
    behind = max(active.position - standby.position, 0)
    if behind > BEHIND_BYTES:
        raise UsageError(
            f"{target} is {behind} bytes behind {source}", hint="try again when it has caught up"
        )


def warnings(running: RunningPlatform, target: str) -> Iterator[str]:
    """What is not as it should be in the target, one line each."""
    yield from _workloads(running, target)
    yield from _certificates(running, target)


def _workloads(running: RunningPlatform, target: str) -> Iterator[str]:
    cluster = running.cluster(target)
    for namespace in (c.NAMESPACE_GATEWAY, c.NAMESPACE_SERVICES, c.NAMESPACE_MEDIA):
        try:
            found = cluster.request("GET", f"/apis/apps/v1/namespaces/{namespace}/deployments", timeout=2.0)
        except RemoteError as error:
            yield f"the workloads of {target} cannot be seen: {error.message}"
            return
        for each in found.get("items", []):
            wanted = int(each.get("spec", {}).get("replicas", 1))
            ready = int(each.get("status", {}).get("readyReplicas", 0))
            if ready < wanted:
                yield f"{namespace}/{each['metadata']['name']} in {target} has {ready} of {wanted} replicas ready"


def _certificates(running: RunningPlatform, target: str) -> Iterator[str]:
    cluster, now = running.cluster(target), running.clock.now()
    for namespace, name in _CERTIFICATES:
        try:
            found = cluster.request("GET", f"/api/v1/namespaces/{namespace}/secrets/{name}", timeout=2.0)
            ends = min(expires(pem) for pem in _certificates_in(found["data"]))
        except (RemoteError, KeyError, ValueError) as error:
            yield f"the certificate {namespace}/{name} of {target} cannot be seen: {error}"
            continue
        if ends - now < EXPIRES_SOON:
            yield f"the certificate {namespace}/{name} of {target} ends on {ends:%Y-%m-%d %H:%M} UTC"


def _certificates_in(data: Mapping[str, str]) -> Iterator[str]:
    for name, encoded in data.items():
        text = base64.b64decode(encoded).decode(errors="replace")
        begins = text.find("-----BEGIN CERTIFICATE-----")
        if begins >= 0 and name != "ca.crt":
            yield text[begins:]


def budget(running: RunningPlatform, region: str) -> float | None:
    """Share of the error budget that is left where least is; None where that is not known."""
    try:
        found = running.metrics(region).instant(f"min({c.RECORD_BUDGET_LEFT})")
    except RemoteError:
        return None
    return round(found[0].value, 4) if found else None
