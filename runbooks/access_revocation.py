"""A person's or a client's access ends at once, everywhere, until a time; or is given back."""

from __future__ import annotations

import json
from typing import Annotated, Any, Final

from pydantic import Field

from runbooks.common.places import both_regions, in_service, pair_named, whole_pair
from runbooks.common.workloads import Workload, pods
from runbooks.engine.model import (
    Change,
    Output,
    Parameters,
    Risk,
    Runbook,
    Step,
    StepContext,
    Target,
    Verdict,
)
from vitalops import conventions as c
from vitalops.errors import GateFailed
from vitalops.model.platform import Platform
from vitalops.ports.cluster import MERGE, Cluster
from vitalops.revocation import MAP_FILE, MAP_KEY, checked_subject, denied, keep_denied, map_text

GATEWAY: Final = Workload(c.NAMESPACE_GATEWAY, c.GATEWAY_SERVICE)
CONFIG: Final = "gateway-config"
MODULE: Final = "services.identity.revoke"
# HAProxy's runtime API: one command on its admin socket.
_ASK: Final = """
import socket, sys
for command in sys.stdin.read().splitlines():
    with socket.socket(socket.AF_UNIX) as door:
        door.settimeout(5)
        door.connect("/tmp/haproxy.sock")
        door.sendall(command.encode() + b"\\n")
        print(b"".join(iter(lambda: door.recv(65536), b"")).decode().strip())
"""


class RevocationParameters(Parameters):
    subject: str
    """The person's pseudonym (`sub` of the tokens, a UUID) or the client's name. Never a name or an address."""
    pair: str = ""
    """The failover pair; the only one that starts by default where it is not named."""
    hours: Annotated[float, Field(gt=0, le=24 * 366)] = 24.0
    """The revocation ends by itself after so long."""
    lift: bool = False
    """Give the access back instead."""


Context = StepContext[RevocationParameters]


def _pair(context: Context) -> str:
    return pair_named(context.running.platform, context.parameters.pair).name


def _regions(context: Context) -> tuple[str, ...]:
    pair = pair_named(context.running.platform, context.parameters.pair)
    return (pair.primary, pair.standby)


def _wanted(context: Context) -> int:
    """End of the revocation, seconds since 1970; 0 where it is lifted. The same however often the run is resumed."""
    if context.parameters.lift:
        return 0
    began = context.facts.started or context.running.clock.now().timestamp()
    return int(began + context.parameters.hours * 3600)


def _record_check(context: Context) -> Verdict:
    subject, kept = context.parameters.subject, denied(context.running.secrets, _pair(context))
    facts = {"before": context.outputs.get("record", {}).get("before", kept.get(subject, 0))}
    if kept.get(subject, 0) == _wanted(context):
        return Verdict.done("the deny list says so", facts)
    state = ("may come in", "is refused")
    before = state[kept.get(subject, 0) > context.running.clock.now().timestamp()]
    change = Change(f"subject {subject}", before, state[not context.parameters.lift])
    return Verdict.due("the pair's deny list is changed", change, facts=facts)


def _put(context: Context, until: int) -> None:
    store, now = context.running.secrets, context.running.clock.now().timestamp()
    kept = {subject: end for subject, end in denied(store, _pair(context)).items() if end > now}
    kept.pop(context.parameters.subject, None)
    if until:
        kept[context.parameters.subject] = until
    keep_denied(store, _pair(context), kept)


def _record(context: Context) -> Output:
    _put(context, _wanted(context))
    return {"until": _wanted(context)}


def _undo(context: Context) -> None:
    before = int(context.outputs.get("record", {}).get("before", 0))
    _put(context, before)
    for region in _regions(context):
        _tell_gateways(context, context.running.cluster(region))
    _tell_identity(context, before)


def _gateway_pods(cluster: Cluster) -> list[str]:
    return [str(pod["metadata"]["name"]) for pod in pods(cluster, GATEWAY)]


def _ask(cluster: Cluster, pod: str, *commands: str) -> list[str]:
    done = cluster.execute(
        GATEWAY.namespace, pod, ["python3", "-c", _ASK], container="haproxy", send="\n".join(commands) + "\n"
    )
    if done.status:
        raise GateFailed(f"{pod} in {cluster.name} cannot be told: {done.errors.strip()[-200:]}")
    return done.output.splitlines()


def _config_path() -> str:
    return f"/api/v1/namespaces/{GATEWAY.namespace}/configmaps/{CONFIG}"


def _tell_gateways(context: Context, cluster: Cluster) -> int:
    """The file, for pods that start later, and then every running one. Returns how many run."""
    entries = denied(context.running.secrets, _pair(context))
    cluster.request("PATCH", _config_path(), body={"data": {MAP_KEY: map_text(entries)}}, content_type=MERGE)
    subject = context.parameters.subject
    commands = [f"del map {MAP_FILE} {subject}"]
    if subject in entries:
        commands.append(f"add map {MAP_FILE} {subject} {entries[subject]}")
    running = _gateway_pods(cluster)
    for pod in running:
        _ask(cluster, pod, *commands)
    return len(running)


def _let_in(context: Context, cluster: Cluster) -> str:
    """A gateway that says something else than the deny list; empty where none does."""
    entries, subject = denied(context.running.secrets, _pair(context)), context.parameters.subject
    if cluster.request("GET", _config_path()).get("data", {}).get(MAP_KEY) != map_text(entries):
        return f"the gateway's deny list in {cluster.name} is another one"
    for pod in _gateway_pods(cluster):
        shown = [
            line.split()[1:] for line in _ask(cluster, pod, f"show map {MAP_FILE}") if line.startswith("0x")
        ]
        ends = [int(entry[1]) for entry in shown if entry[0] == subject]
        if ends != ([entries[subject]] if subject in entries else []):
            return f"{pod} in {cluster.name} does not know it yet"
    return ""


def _gateways_check(context: Context) -> Verdict:
    _ = context.outputs["record"]
    for region in _regions(context):
        if reason := _let_in(context, context.running.cluster(region)):
            return Verdict.due(reason)
    return Verdict.done("every gateway of both regions knows it")


def _gateways(context: Context) -> Output:
    return {region: _tell_gateways(context, context.running.cluster(region)) for region in _regions(context)}


def _gateways_verify(context: Context) -> None:
    for region in _regions(context):
        if reason := _let_in(context, context.running.cluster(region)):
            raise GateFailed(reason)


def _identity(context: Context, *arguments: str) -> dict[str, Any]:
    region = context.running.active_region(pair_named(context.running.platform, context.parameters.pair))
    command = ("python3", "-m", MODULE, context.parameters.subject, *arguments)
    done = in_service(context.running, region, "identity", *command)
    if done.status:
        raise GateFailed(f"identity in {region} cannot be told: {done.errors.strip()[-200:]}")
    return dict(json.loads(done.output.strip().splitlines()[-1]))


def _tell_identity(context: Context, until: int) -> dict[str, Any]:
    return _identity(context, *(("--until", str(until)) if until else ("--lift",)))


def _identity_check(context: Context) -> Verdict:
    _ = context.outputs["record"]
    found, wanted = _identity(context, "--show"), _wanted(context)
    if int(found["until"]) == wanted and not (wanted and found["sessions"]):
        return Verdict.done("identity knows it")
    sessions = Change("sessions", str(found["sessions"]), "0" if wanted else str(found["sessions"]))
    return Verdict.due("identity gives no tokens" if wanted else "identity gives tokens again", sessions)


def _identity_apply(context: Context) -> Output:
    return {"revoked": _tell_identity(context, _wanted(context))["revoked"]}


def _identity_verify(context: Context) -> None:
    found = _identity(context, "--show")
    if int(found["until"]) != _wanted(context) or (_wanted(context) and found["sessions"]):
        raise GateFailed("identity says something else")


def _targets(parameters: RevocationParameters, platform: Platform) -> tuple[Target, ...]:
    checked_subject(parameters.subject)
    (pair,) = whole_pair(parameters, platform)
    return (Target("access", f"{pair.name}.{parameters.subject}"),)


DESCRIPTION: Final = """\
Use it when somebody's account or a client's secret is in the wrong hands. As soon as the gateways know it, every
request with a token of that subject is refused (401), although the token has not run out; identity ends the
subject's sessions and gives no new tokens. The revocation ends by itself after `hours`; `--lift` ends it now.

The subject is a pseudonym: the `sub` of the tokens, a UUID, or the name of a client. It is refused when it looks like
anything else, because the journal keeps it. Who asked, and why (`--reason`), is in the journal too.

Gateways are told by their runtime API, without a restart, and the list is in their configuration as well, so that a pod
that starts later agrees; `vitalops up` keeps it. What it does not reach: a call that runs already goes on until it ends
(its media token is LiveKit's), and calls between services inside of the cluster do not pass the gateway: a service's
own token lives for 15 minutes at most.

When it stops: the run names the gateway or the service that could not be told. Resume it: nothing is done twice.
"""

RUNBOOK: Final = Runbook(
    name="access-revocation",
    summary="End a person's or a client's access at once, until a time; or give it back.",
    description=DESCRIPTION,
    risk=Risk.CHANGES,
    parameters=RevocationParameters,
    example="vitalops runbook run access-revocation --subject 3f0d2c1e-0000-4000-8000-000000000000 --pair france",
    targets=_targets,
    regions=both_regions,
    rehearsal="tests/cluster/runbooks/test_access_revocation.py",
    steps=(
        Step(
            name="record",
            summary="Write it on the pair's deny list.",
            limit_seconds=30,
            check=_record_check,
            apply=_record,
            undo=_undo,
        ),
        Step(
            name="gateways",
            summary="Tell every gateway of both regions.",
            limit_seconds=60,
            check=_gateways_check,
            apply=_gateways,
            verify=_gateways_verify,
            lasting="undone with the list",
        ),
        Step(
            name="identity",
            summary="End the sessions, and give no new tokens.",
            limit_seconds=60,
            check=_identity_check,
            apply=_identity_apply,
            verify=_identity_verify,
            lasting="undone with the list; sessions that ended stay so",
        ),
    ),
)
