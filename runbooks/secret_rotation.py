"""New secrets between the parts of a pair, each known on both sides before it is used and until the old one is not."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from hashlib import sha256
from typing import Any, Final

from runbooks.common.database_pods import REFRESHED
from runbooks.common.places import both_regions, in_service, pair_named, whole_pair
from runbooks.common.rotation import mark
from runbooks.common.waiting import wait_until
from runbooks.common.workloads import Workload, deployment, pods, rollout_waits_for
from runbooks.engine.model import Change, Output, Parameters, Risk, Runbook, Step, StepContext, Verdict
from vitalops import conventions as c
from vitalops.errors import GateFailed, UsageError
from vitalops.model.selection import services_of
from vitalops.ports.cluster import MERGE, Cluster
from vitalops.secretstore.port import SecretStore

IDENTITY: Final = "identity"
RING: Final = "token-keys"
KEY_SET: Final = "/etc/vitalops/jwks/jwks.json"
NOT_YET: Final = 4_102_444_800
"""2100: `not_before` of a key that is known and does not sign."""
TOKEN_SECONDS: Final = 20 * 60
"""A key that has not signed for so long has no valid tokens left: they live 15 minutes."""
CONSULT_SECONDS: Final = 3.0


class Kind(StrEnum):
    """What is replaced."""

    TOKEN_KEYS = "token-keys"
    """Keys that sign access tokens."""
    CLIENTS = "clients"
    """Secrets with which services, the prober and the operator ask identity for tokens."""
    DATABASE = "database"
    """Passwords of the services at the database."""
    ALL = "all"


class SecretParameters(Parameters):
    pair: str = ""
    """The failover pair; the only one that starts by default where it is not named."""
    kind: Kind = Kind.ALL
    """token-keys, clients, database, or all of them."""


Context = StepContext[SecretParameters]


def _pair(context: Context) -> str:
    return pair_named(context.running.platform, context.parameters.pair).name


def _meant(context: Context, kind: Kind) -> bool:
    return context.parameters.kind in (kind, Kind.ALL)


def shared(context: Context) -> tuple[str, ...]:
    """Secrets that two sides know, without their pair: `clients/records`, `database/services/records`."""
    pair, wanted = _pair(context), list[str]()
    if _meant(context, Kind.CLIENTS):
        wanted.append("clients/")
    if _meant(context, Kind.DATABASE):
        wanted.append("database/services/")
    names = [
        name.removeprefix(f"{pair}/")
        for name in context.running.secrets.names()
        if name.startswith(f"{pair}/")
    ]
    found = tuple(name for name in names if name.startswith(tuple(wanted))) if wanted else ()
    if not names:
        raise UsageError(f"pair {pair} was not set up from here", hint=f"run: vitalops up {pair}")
    return found


def ring(store: SecretStore, pair: str) -> list[dict[str, Any]]:
    """Signing keys. Raises UsageError where there are none."""
    kept = store.get(f"{pair}/{RING}")
    if kept is None:
        raise UsageError(f"pair {pair} has no signing keys here", hint=f"run: vitalops up {pair}")
    return list(json.loads(kept))


def new_key() -> dict[str, Any]:
    from vitalops.pki import new_private_key, public_key_of

    private = new_private_key()
    kid = sha256(public_key_of(private).encode()).hexdigest()[:16]
    return {"kid": kid, "private_pem": private, "not_before": NOT_YET}


def without_expired(keys: Iterable[dict[str, Any]], now: float) -> list[dict[str, Any]]:
    """Keys that may still have valid tokens, or will: all but those whose successor has signed for long enough."""
    ordered = sorted(keys, key=lambda key: key["not_before"])
    kept = [
        key
        for key, successor in zip(ordered, [*ordered[1:], None], strict=True)
        if successor is None or successor["not_before"] > now - TOKEN_SECONDS
    ]
    return kept or ordered[-1:]


def _password() -> str:
    import secrets

    return secrets.token_urlsafe(24)


def _was(context: Context) -> dict[str, str]:
    """Marks of what there was when the run began; those of keys are their ids."""
    kept: dict[str, str] | None = context.outputs.get("add", {}).get("before")
    if kept is not None:
        return kept
    store, pair = context.running.secrets, _pair(context)
    found = {name: mark(store.get(f"{pair}/{name}") or "") for name in shared(context)}
    if _meant(context, Kind.TOKEN_KEYS):
        found[RING] = max(ring(store, pair), key=lambda key: key["not_before"])["kid"]
    return found


def _next(context: Context, name: str) -> str:
    return f"{_pair(context)}/{c.SECRETS_NEXT}/{name}"


def _newest_kid(context: Context) -> str:
    return str(max(ring(context.running.secrets, _pair(context)), key=lambda key: key["not_before"])["kid"])


def _add_check(context: Context) -> Verdict:
    before, store, pair = _was(context), context.running.secrets, _pair(context)
    due: list[str] = []
    for name, seen in before.items():
        if name == RING:
            if _newest_kid(context) == seen:
                due.append(name)
            continue
        current = store.get(f"{pair}/{name}") or ""
        upcoming = store.get(_next(context, name))
        if mark(current) == seen and (upcoming is None or upcoming == current):
            due.append(name)
    facts = {"before": before}
    if not due:
        return Verdict.done("the new ones are made", facts)
    return Verdict.due(
        f"{len(due)} new secrets are made",
        *(Change(name, "one", "two that are known") for name in due),
        facts=facts,
    )


def _add(context: Context) -> Output:
    before, store, pair = context.outputs["add"]["before"], context.running.secrets, _pair(context)
    for name, seen in before.items():
        if name == RING:
            if _newest_kid(context) == seen:
                kept = without_expired(ring(store, pair), context.running.clock.now().timestamp())
                store.replace(f"{pair}/{RING}", json.dumps([*kept, new_key()]))
            continue
        current = store.get(f"{pair}/{name}") or ""
        if mark(current) == seen and store.get(_next(context, name)) in (None, current):
            store.replace(_next(context, name), _password())
    return {"made": len(before)}


def _add_undo(context: Context) -> None:
    store, pair = context.running.secrets, _pair(context)
    for name, seen in context.outputs.get("add", {}).get("before", {}).items():
        if name == RING:
            keys = [key for key in ring(store, pair) if key["not_before"] != NOT_YET]
            store.replace(f"{pair}/{RING}", json.dumps(keys))
            continue
        current = store.get(f"{pair}/{name}") or ""
        if mark(current) == seen:
            store.replace(_next(context, name), current)
    _bring_up(context)


def _switched(context: Context, name: str) -> bool:
    store, pair = context.running.secrets, _pair(context)
    if name == RING:
        newest = max(ring(store, pair), key=lambda key: key["not_before"])
        return bool(newest["not_before"] != NOT_YET)
    return mark(store.get(f"{pair}/{name}") or "") != context.outputs["add"]["before"][name]


def _switch_check(context: Context) -> Verdict:
    before = context.outputs["add"]["before"]
    due = [name for name in before if not _switched(context, name)]
    if not due:
        return Verdict.done("the new ones are meant to be used")
    return Verdict.due(
        "the new ones are used from now on", *(Change(name, "the old", "the new") for name in due)
    )


def _switch(context: Context) -> Output:
    before, store, pair = context.outputs["add"]["before"], context.running.secrets, _pair(context)
    for name in before:
        if _switched(context, name):
            continue
        if name == RING:
            now = int(context.running.clock.now().timestamp())
            keys = [{**key, "not_before": min(key["not_before"], now)} for key in ring(store, pair)]
            store.replace(f"{pair}/{RING}", json.dumps(keys))
            continue
        new, old = store.get(_next(context, name)) or "", store.get(f"{pair}/{name}") or ""
        # The new one comes first: between the two, both places hold it, and the old one is kept beside.
        store.replace(f"{pair}/former/{name}", old)
        store.replace(f"{pair}/{name}", new)
    for name in before:
        former = store.get(f"{pair}/former/{name}")
        if former is not None and mark(former) == before[name]:
            store.replace(_next(context, name), former)
    return {"switched": sorted(before)}


def _switch_undo(context: Context) -> None:
    store, pair = context.running.secrets, _pair(context)
    for name, seen in context.outputs.get("add", {}).get("before", {}).items():
        if name == RING:
            _sign_again(context, seen)
            continue
        former, current = store.get(f"{pair}/former/{name}") or "", store.get(f"{pair}/{name}") or ""
        if mark(former) == seen and mark(current) != seen:
            store.replace(f"{pair}/{name}", former)
            store.replace(_next(context, name), current)
    _bring_up(context)


def _sign_again(context: Context, kid: str) -> None:
    """Have an older key sign again. The newer one stays known, as the oldest: it may have signed."""
    store, pair = context.running.secrets, _pair(context)
    keys, newest = ring(store, pair), _newest_kid(context)
    if newest == kid:
        return
    oldest = min(key["not_before"] for key in keys)
    changed = [{**key, "not_before": oldest - 1} if key["kid"] == newest else key for key in keys]
    store.replace(f"{pair}/{RING}", json.dumps(changed))


def _retire_check(context: Context) -> Verdict:
    store, pair = context.running.secrets, _pair(context)
    due = [
        name
        for name in context.outputs["add"]["before"]
        if name != RING and store.get(_next(context, name)) != store.get(f"{pair}/{name}")
    ]
    if not context.facts.run:
        due = [name for name in context.outputs["add"]["before"] if name != RING]
    if not due:
        return Verdict.done("no old secret is accepted any more")
    return Verdict.due(
        "the old ones are no longer accepted", *(Change(name, "two", "the new one") for name in due)
    )


def _retire(context: Context) -> Output:
    store, pair = context.running.secrets, _pair(context)
    for name in context.outputs["add"]["before"]:
        if name != RING:
            current = store.get(f"{pair}/{name}") or ""
            store.replace(_next(context, name), current)
            store.replace(f"{pair}/former/{name}", current)
    return {"retired": True}


def _bring_up(context: Context) -> Output:
    pair = pair_named(context.running.platform, context.parameters.pair)
    return {"changed": context.running.bring_up((pair.primary, pair.standby), context.progress)}


def _lacks(context: Context) -> str:
    """Where a region does not have what the secret store has; empty where nowhere."""
    pair = pair_named(context.running.platform, context.parameters.pair)
    names = shared(context)
    for region in (pair.primary, pair.standby):
        cluster = context.running.cluster(region)
        for service in services_of(context.running.platform, pair.name):
            files = _files(cluster, service.name)
            for name in (f"clients/{service.name}", f"database/services/{service.name}"):
                if name in names and (reason := _differs(context, files, name)):
                    return f"{service.name} in {region} {reason}"
            if service.name == IDENTITY and (reason := _identity_lacks(context, files, names)):
                return f"identity in {region} {reason}"
            if reason := rollout_waits_for(deployment(cluster, Workload(c.NAMESPACE_SERVICES, service.name))):
                return f"{service.name} in {region}: {reason}"
    return ""


def _files(cluster: Cluster, service: str) -> dict[str, str]:
    kept = cluster.request("GET", f"/api/v1/namespaces/{c.NAMESPACE_SERVICES}/secrets/{service}")
    return {key: base64.b64decode(value).decode() for key, value in kept.get("data", {}).items()}


def _differs(context: Context, files: Mapping[str, str], name: str) -> str:
    store, pair = context.running.secrets, _pair(context)
    current, other = store.get(f"{pair}/{name}"), store.get(_next(context, name))
    if name.startswith("clients/"):
        return "" if files.get("client-secret") == current else "uses another client secret"
    wanted = (current, other if other != current else None)
    have = (files.get("database-password"), files.get("database-password-next"))
    return "" if have == wanted else "knows other passwords of the database"


def _identity_lacks(context: Context, files: Mapping[str, str], names: Iterable[str]) -> str:
    store, pair = context.running.secrets, _pair(context)
    if _meant(context, Kind.TOKEN_KEYS) and json.loads(files.get("signing-keys.json", "[]")) != ring(
        store, pair
    ):
        return "has other signing keys"
    accepted = json.loads(files.get("clients.json", "{}"))
    for name in names:
        client = name.removeprefix("clients/")
        if client == name or client not in accepted:
            continue
        secrets = {store.get(f"{pair}/{name}") or "", store.get(_next(context, name)) or ""} - {""}
        given: str | list[str] = accepted[client]["secret_sha256"]
        hashed = {given} if isinstance(given, str) else set(given)
        if hashed != {sha256(each.encode()).hexdigest() for each in secrets}:
            return f"accepts other secrets of {client}"
    return ""


def _rolled_check(context: Context) -> Verdict:
    if not context.facts.run:
        return Verdict.due("both regions are brought up, pod by pod")
    if reason := _lacks(context):
        return Verdict.due(reason)
    return Verdict.done("both regions have what the secret store has")


def _rolled_verify(context: Context) -> None:
    # A pod may be unready for a moment after its rollout.
    wait_until(context, "both regions", lambda: _lacks(context), poll=3.0)


def _aware_check(context: Context) -> Verdict:
    if not _meant(context, Kind.TOKEN_KEYS):
        return Verdict.done("keys are not meant")
    if not context.facts.run:
        return Verdict.due("every service is asked for the new key")
    reason = _unaware(context)
    return Verdict.due(reason) if reason else Verdict.done("every service knows the new key")


def _aware(context: Context) -> Output:
    """Wait until every service has the new key, which it gets without a restart."""
    for region, name in _service_pods(context):
        path = f"/api/v1/namespaces/{c.NAMESPACE_SERVICES}/pods/{name}"
        # A change of the pod makes the kubelet look at its volumes now, not within its minute.
        body = {"metadata": {"annotations": {REFRESHED: str(context.facts.token)}}}
        context.running.cluster(region).request("PATCH", path, body=body, content_type=MERGE)
    return {"seconds": round(wait_until(context, "services", lambda: _unaware(context), poll=3.0), 1)}


def _service_pods(context: Context) -> list[tuple[str, str]]:
    pair = pair_named(context.running.platform, context.parameters.pair)
    return [
        (region, str(pod["metadata"]["name"]))
        for region in (pair.primary, pair.standby)
        for service in services_of(context.running.platform, pair.name)
        for pod in pods(context.running.cluster(region), Workload(c.NAMESPACE_SERVICES, service.name))
    ]


def _unaware(context: Context) -> str:
    """A pod that does not know the newest key yet."""
    kid = _newest_kid(context)
    for region, name in _service_pods(context):
        done = context.running.cluster(region).execute(
            c.NAMESPACE_SERVICES, name, ["grep", "-q", kid, KEY_SET]
        )
        if done.status:
            return f"{name} in {region} does not know the new key yet"
    return ""


def _aware_verify(context: Context) -> None:
    if reason := _unaware(context):
        raise GateFailed(reason)


_SIGNING: Final = (
    "import json, time; keys = json.load(open('/etc/vitalops/secrets/signing-keys.json')); "
    "now = time.time(); print(max((k for k in keys if k['not_before'] <= now), key=lambda k: k['not_before'])['kid'])"
)


def _signs(context: Context) -> None:
    """Raises GateFailed where identity still signs with an older key."""
    if not _meant(context, Kind.TOKEN_KEYS):
        return
    pair = pair_named(context.running.platform, context.parameters.pair)
    for region in (pair.primary, pair.standby):
        told = in_service(context.running, region, IDENTITY, "python3", "-c", _SIGNING).output.strip()
        if told != _newest_kid(context):
            raise GateFailed(f"identity in {region} signs with key {told or 'none'}, not with the newest")


def _consult(context: Context) -> Output:
    pair = pair_named(context.running.platform, context.parameters.pair)
    report = context.running.consult(pair, CONSULT_SECONDS)
    if not report.verified:
        raise GateFailed(f"a consultation fails with the new secrets at '{report.failed_step}'")
    return {"seconds": report.seconds}


def _consult_check(context: Context) -> Verdict:
    if "seconds" in context.outputs.get("consult", {}):
        return Verdict.done("a consultation went well")
    return Verdict.due("one synthetic consultation")


DESCRIPTION: Final = """\
Use it on a schedule, and at once when a secret may have been seen by others. `kind` says which: `token-keys` (what
signs access tokens), `clients` (with which services, the prober and the operator ask identity for tokens), `database`
(the services' passwords), or `all`.

Nothing is refused meanwhile, because every new secret is known on both sides before it is used. First it is made known:
identity accepts both client secrets, services know both passwords, gateways and services know the new key. Then it is
used. Then the old one is dropped. Each phase brings both regions up, pod by pod. A signing key that was replaced stays
known, so that its tokens are accepted until they run out; the first rotation that comes 20 minutes later drops it. A
consultation is walked before the old ones are dropped. Values are never shown, logged or journaled.

Not covered: passwords of PostgreSQL's own users (superuser, replication, rewind), the key of encrypted fields and the
passphrases of backups (what they encrypted would have to be encrypted again), the media server's API secret, the
webhook's token, and keys that sign prescriptions (they must verify for years).

When it stops: a failure before the old secrets are dropped puts them back into use. `vitalops runbook resume` goes on
after a crash; nothing is made twice.
"""


def _signs_verify(context: Context) -> None:
    _rolled_verify(context)
    _signs(context)


def _rolling(
    name: str, summary: str, lasting: str, verify: Callable[[Context], None] = _rolled_verify
) -> Step[SecretParameters]:
    return Step(
        name=name,
        summary=summary,
        limit_seconds=900,
        check=_rolled_check,
        apply=_bring_up,
        verify=verify,
        lasting=lasting,
    )


RUNBOOK: Final = Runbook(
    name="secret-rotation",
    summary="Replace token keys, client secrets and database passwords, with nothing refused meanwhile.",
    description=DESCRIPTION,
    risk=Risk.CHANGES,
    parameters=SecretParameters,
    example="vitalops runbook run secret-rotation --pair france --kind token-keys",
    targets=whole_pair,
    regions=both_regions,
    protects=("answered",),
    rehearsal="tests/cluster/runbooks/test_secret_rotation.py",
    steps=(
        Step(
            name="add",
            summary="Make the new secrets.",
            limit_seconds=900,
            check=_add_check,
            apply=_add,
            undo=_add_undo,
        ),
        _rolling("known", "Make them known on both sides.", "undone with what was made"),
        Step(
            name="aware",
            summary="Wait until every service knows the new key.",
            limit_seconds=180,
            check=_aware_check,
            apply=_aware,
            verify=_aware_verify,
            lasting="undone with what was made",
        ),
        Step(
            name="switch",
            summary="Use the new ones; the old ones are still accepted.",
            limit_seconds=900,
            check=_switch_check,
            apply=_switch,
            undo=_switch_undo,
        ),
        _rolling("used", "Bring the new ones into use.", "undone with the switch", verify=_signs_verify),
        Step(
            name="consult",
            summary="Walk a consultation with the new ones.",
            limit_seconds=180,
            check=_consult_check,
            apply=_consult,
            lasting="a synthetic consultation is no patient's",
        ),
        Step(
            name="retire",
            summary="Accept the old ones no longer.",
            limit_seconds=60,
            check=_retire_check,
            apply=_retire,
            lasting="an old secret may be known to others: it is not brought back",
        ),
        _rolling("dropped", "Drop them in both regions.", "what is accepted no longer stays so"),
    ),
)
