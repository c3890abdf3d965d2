"""New certificates for a pair's gateway, edge, database and stores, while everything goes on."""

from __future__ import annotations

import base64
import json
import socket
import ssl
from collections.abc import Mapping
from hashlib import sha256
from typing import Final
from urllib.parse import urlsplit

from runbooks.common.database_pods import database_pods, reload_certificate, shown_certificates
from runbooks.common.places import both_regions, pair_named, whole_pair
from runbooks.common.rotation import mark, marks, put_back, replace_once
from runbooks.common.waiting import wait_until
from runbooks.common.workloads import Workload, deployment, rollout_waits_for
from runbooks.engine.model import Change, Output, Parameters, Risk, Runbook, Step, StepContext, Verdict
from vitalops import conventions as c
from vitalops.errors import GateFailed, UsageError
from vitalops.ports.cluster import Cluster
from vitalops.secretstore.port import SecretStore

AUTHORITY: Final = "authority"
DATABASE: Final = "postgres"
GATEWAY: Final = "gateway"
EDGE: Final = "edge"
KEPT: Final = {
    GATEWAY: (c.NAMESPACE_GATEWAY, "gateway-tls", "gateway.pem"),
    DATABASE: (c.NAMESPACE_DATA, "postgres-tls", "tls.crt"),
    c.OBJECTS_SERVICE: (c.NAMESPACE_BACKUPS, f"{c.OBJECTS_SERVICE}-tls", "tls.crt"),
}
"""Secrets of the regions that hold a certificate: namespace, name, file."""


class CertificateParameters(Parameters):
    pair: str = ""
    """The failover pair; the only one that starts by default where it is not named."""
    certificate: str = ""
    """One certificate, such as `gateway`, `edge` or `postgres`; all of the pair's where none is named."""


Context = StepContext[CertificateParameters]


def _names(context: Context) -> dict[str, str]:
    """Secrets by certificate."""
    pair = pair_named(context.running.platform, context.parameters.pair)
    folder = f"{pair.name}/certificates/"
    found = {
        name.removeprefix(folder): name for name in context.running.secrets.names() if name.startswith(folder)
    }
    wanted = context.parameters.certificate
    if not found or (wanted and wanted not in found):
        raise UsageError(
            f"pair {pair.name} has no certificate {wanted}"
            if found
            else f"pair {pair.name} was not set up from here",
            hint=f"there are: {', '.join(found)}" if found else f"run: vitalops up {pair.name}",
        )
    return {wanted: found[wanted]} if wanted else found


def certificate_of(store: SecretStore, name: str) -> str:
    """The certificate (PEM) of a secret that holds one with its key."""
    return str(json.loads(store.get(name) or "{}").get("certificate", ""))


def _expiry(store: SecretStore, name: str) -> str:
    from vitalops.pki import expires

    return expires(certificate_of(store, name)).date().isoformat()


def _issue_check(context: Context) -> Verdict:
    names, store = _names(context), context.running.secrets
    seen = context.outputs.get("issue", {})
    before: dict[str, str] = seen.get("before") or marks(store, names.values())
    expiry = {short: _expiry(store, name) for short, name in names.items()}
    facts = {"before": before, "expired": seen.get("expired") or expiry}
    due = [short for short, name in names.items() if mark(store.get(name) or "") == before[name]]
    if not due:
        return Verdict.done("all of them are new", facts)
    changes = (Change(f"certificate {short}", f"valid until {expiry[short]}", "a new one") for short in due)
    return Verdict.due(f"{len(due)} certificates are issued again", *changes, facts=facts)


def _issue(context: Context) -> Output:
    from vitalops.pki import CertificateAuthority, reissued

    store = context.running.secrets
    kept = json.loads(store.get(AUTHORITY) or "{}")
    if not kept:
        raise UsageError("the authority's key is not on this machine", hint="rotate from where `up` was run")
    authority = CertificateAuthority.load(kept["certificate"], kept["key"])

    def make(old: str) -> str:
        made = reissued(authority, json.loads(old)["certificate"], context.running.clock.now())
        return json.dumps({"certificate": made.certificate_pem, "key": made.key_pem})

    before = context.outputs["issue"]["before"]
    for name in _names(context).values():
        replace_once(store, name, before[name], make)
    return {"expires": {short: _expiry(store, name) for short, name in _names(context).items()}}


def _issue_undo(context: Context) -> None:
    before = context.outputs.get("issue", {}).get("before", {})
    changed = [put_back(context.running.secrets, name, mark) for name, mark in before.items()]
    if any(changed):
        pair = pair_named(context.running.platform, context.parameters.pair)
        context.running.bring_up((pair.primary, pair.standby), context.progress)
        if any(name.endswith(f"/{DATABASE}") for name in before):
            _reload_database(context)


def _roll_check(context: Context) -> Verdict:
    if not context.facts.run:
        return Verdict.due("both regions and the edge are brought up, pod by pod")
    if reason := _shown_reason(context, ("secrets", "edge")):
        return Verdict.due(reason)
    return Verdict.done("every place has the new certificates")


def _roll(context: Context) -> Output:
    pair = pair_named(context.running.platform, context.parameters.pair)
    return {"changed": context.running.bring_up((pair.primary, pair.standby), context.progress)}


def _reload_check(context: Context) -> Verdict:
    if DATABASE not in _names(context):
        return Verdict.done("the database's certificate is not meant")
    if not context.facts.run:
        return Verdict.due("PostgreSQL and its guard read the new files, without a restart")
    if reason := _shown_reason(context, ("database",)):
        return Verdict.due(reason)
    return Verdict.done("the database shows the new certificate")


def _reload_database(context: Context) -> Output:
    pair = pair_named(context.running.platform, context.parameters.pair)
    pem = certificate_of(context.running.secrets, f"{pair.name}/certificates/{DATABASE}")
    took: dict[str, float] = {}
    for region in (pair.primary, pair.standby):
        cluster = context.running.cluster(region)
        for pod in database_pods(cluster):
            took[pod] = round(reload_certificate(context, cluster, pod, pem), 1)
    wait_until(context, "database", lambda: _shown_reason(context, ("database",)))
    return {"seconds": took}


def _verify(context: Context) -> None:
    if reason := _shown_reason(context, ("secrets", "database", "edge")):
        raise GateFailed(reason)


def _shown_reason(context: Context, places: tuple[str, ...]) -> str:
    """Where another certificate is shown than the one in the secret store; empty where nowhere."""
    from vitalops.pki import fingerprint

    names, store = _names(context), context.running.secrets
    pair = pair_named(context.running.platform, context.parameters.pair)
    wanted = {short: fingerprint(certificate_of(store, name)) for short, name in names.items()}
    for region in (pair.primary, pair.standby):
        cluster = context.running.cluster(region)
        if "secrets" in places and (reason := _kept_reason(cluster, store, names)):
            return reason
        if "database" in places and DATABASE in wanted:
            for pod in database_pods(cluster):
                shown = shown_certificates(cluster, pod, c.POSTGRES_PORT, c.GUARD_PORT)
                if set(shown) != {wanted[DATABASE]}:
                    return f"{pod} shows another certificate than the newest"
    if "edge" in places and EDGE in wanted and shown_at(pair.edge.public_url) != wanted[EDGE]:
        return f"the edge of {pair.name} shows another certificate than the newest"
    return ""


def _kept_reason(cluster: Cluster, store: SecretStore, names: Mapping[str, str]) -> str:
    for short, name in names.items():
        if short not in KEPT:
            continue
        namespace, secret, file = KEPT[short]
        kept = cluster.request("GET", f"/api/v1/namespaces/{namespace}/secrets/{secret}")
        if not base64.b64decode(kept["data"][file]).decode().startswith(certificate_of(store, name)):
            return f"{short} of {cluster.name} has another certificate than the newest"
    if GATEWAY in names:
        gateway = Workload(c.NAMESPACE_GATEWAY, c.GATEWAY_SERVICE)
        if reason := rollout_waits_for(deployment(cluster, gateway)):
            return f"the gateway of {cluster.name}: {reason}"
    return ""


def shown_at(url: str) -> str:
    """SHA-256 of the certificate shown at an HTTPS address; it is compared, so nobody need vouch for it."""
    parts = urlsplit(url)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with (
            socket.create_connection((parts.hostname or "", parts.port or 443), 5) as plain,
            context.wrap_socket(plain, server_hostname=parts.hostname) as door,
        ):
            return sha256(door.getpeercert(True) or b"").hexdigest()
    except OSError as error:
        raise GateFailed(f"{url} does not answer: {error}") from None


def _look(context: Context) -> Output:
    store = context.running.secrets
    return {"expires": {short: _expiry(store, name) for short, name in _names(context).items()}}


DESCRIPTION: Final = """\
Use it before certificates run out, and at once when a key may have been seen by others. Every certificate of the pair
is issued again with a new key by the platform's own authority: gateway, edge, database (PostgreSQL and its guard),
backup store. The plan shows when each runs out.

Nothing is refused meanwhile: gateways are replaced one pod at a time, the edge is reloaded while connections stay,
PostgreSQL and its guard read the new files without a restart. Old certificates stay valid until they run out (there is
no revocation list): where a key was stolen, that is a year at most; rotating the authority ends it, and is not part of
this runbook.

When it stops: what was issued is in the secret store, and `vitalops up` brings it to where it is missing. A run that
fails puts the old certificates back.
"""


RUNBOOK: Final = Runbook(
    name="certificate-rotation",
    summary="Issue a pair's certificates again, with new keys, and bring them to where they are shown.",
    description=DESCRIPTION,
    risk=Risk.CHANGES,
    parameters=CertificateParameters,
    example="vitalops runbook run certificate-rotation --pair france",
    targets=whole_pair,
    regions=both_regions,
    protects=("answered",),
    rehearsal="tests/cluster/runbooks/test_certificate_rotation.py",
    steps=(
        Step(
            name="issue",
            summary="Issue the certificates again, each with a new key.",
            limit_seconds=900,
            check=_issue_check,
            apply=_issue,
            undo=_issue_undo,
        ),
        Step(
            name="roll-out",
            summary="Bring them to the gateways, the edge and the stores of both regions.",
            limit_seconds=900,
            check=_roll_check,
            apply=_roll,
            lasting="undone with the certificates themselves",
        ),
        Step(
            name="reload",
            summary="Have PostgreSQL and its guard read theirs.",
            limit_seconds=180,
            check=_reload_check,
            apply=_reload_database,
            lasting="undone with the certificates themselves",
        ),
        Step(
            name="shown",
            summary="See for oneself that every door shows the new ones.",
            limit_seconds=60,
            check=lambda _: Verdict.due("what the doors show is compared with what was issued"),
            apply=_look,
            verify=_verify,
            lasting="only reads",
        ),
    ),
)
