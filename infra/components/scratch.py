"""A place to restore a backup into, apart from everything that serves: a namespace of its own in the region that holds
the repository, with one pod that reaches the repository and nothing else, and that nothing reaches."""

from __future__ import annotations

from typing import Final

from infra.components.args import RegionArgs
from infra.components.backup import KEYS_MOUNT, KEYS_VOLUME, NAME, SECRET, SPOOL_MOUNT, repository
from infra.components.kit import (
    DNS_LABELS,
    TMP_MOUNT,
    TMP_VOLUME,
    Manifest,
    container_security,
    metadata,
    pod_security,
    resources,
    secret,
)
from infra.components.objects import SCRATCH_LABEL
from infra.components.patroni import DATA_FOLDER, SOCKET_FOLDER
from infra.components.policies import ANYWHERE, networks, pods, policy, ports
from vitalops import conventions as c
from vitalops.backup import variables as v
from vitalops.model.resources import Resources
from vitalops.ports.backups import RestoreTarget

POD: Final = "restored"
STACK: Final = "restore"
SIZE: Final = Resources(cpu="100m", memory="512Mi")
LONGEST_SECONDS: Final = 4 * 3600
"""Whoever began it may be gone: the pod, and with it the data, does not stay for ever."""


def namespace_name(run: str) -> str:
    """Of the run's scratch namespace: at most 63 letters."""
    return f"vitalops-restore-{run.removeprefix('restore-drill-')}"[:63].rstrip("-")


def scratch_namespace(run: str, args: RegionArgs, holder: str) -> Manifest:
    name = namespace_name(run)
    made: Manifest = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": metadata(name, None, STACK, holder, labels={SCRATCH_LABEL: args.region}),
    }
    for mode in ("enforce", "audit", "warn"):
        made["metadata"]["labels"][f"pod-security.kubernetes.io/{mode}"] = "restricted"
    return made


def scratch_objects(
    run: str, args: RegionArgs, holder: str, image: str, target: RestoreTarget
) -> list[Manifest]:
    """What goes into the namespace, in order. `args` are those of the region whose backup it is."""
    namespace = namespace_name(run)
    dns = pods("kube-system")
    dns["podSelector"] = {"matchLabels": DNS_LABELS}
    fence = policy(
        POD,
        namespace,
        args,
        {},
        egress=[
            {"to": [dns], "ports": [*ports(53, protocol="UDP"), *ports(53)]},
            {"to": networks(ANYWHERE), "ports": ports(c.NODE_PORT_OBJECTS, c.OBJECTS_PORT)},
        ],
    )
    fence["spec"]["policyTypes"] = ["Ingress", "Egress"]
    fence["metadata"] = metadata(POD, namespace, STACK, holder)
    files = {"pgbackrest.conf": repository(args), "ca.crt": args.secrets.authority}
    return [
        fence,
        secret(SECRET, namespace, STACK, holder, files, POD),
        pod(namespace, args, holder, image, target),
    ]


def pod(namespace: str, args: RegionArgs, holder: str, image: str, target: RestoreTarget) -> Manifest:
    variables = {
        v.STANZA: args.region,
        v.TARGET_KIND: target.kind.value,
        v.TARGET: target.moment,
        v.CONFIG_VARIABLE: v.CONFIG_FILE,
        # Thousands of small files, each an answer to wait for; nobody else's disk is in the way here.
        "PGBACKREST_PROCESS_MAX": "4",
        "PGUSER": "postgres",
        "PGHOST": v.SOCKETS,
        "HOME": "/tmp",
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata(POD, namespace, STACK, holder),
        "spec": {
            "restartPolicy": "Never",
            "activeDeadlineSeconds": LONGEST_SECONDS,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "securityContext": pod_security(c.UID_POSTGRES),
            # There is nothing to save.
            "terminationGracePeriodSeconds": 1,
            "containers": [
                {
                    "name": NAME,
                    "image": image,
                    "imagePullPolicy": args.pull_policy,
                    "command": ["python3", "-m", "vitalops.backup", "restore"],
                    "env": [{"name": name, "value": value} for name, value in variables.items()],
                    "volumeMounts": [
                        TMP_MOUNT,
                        {"name": "data", "mountPath": DATA_FOLDER},
                        {"name": "run", "mountPath": SOCKET_FOLDER},
                        SPOOL_MOUNT,
                        KEYS_MOUNT,
                    ],
                    "resources": resources(SIZE),
                    "securityContext": container_security(),
                }
            ],
            "volumes": [
                TMP_VOLUME,
                {"name": "data", "emptyDir": {"sizeLimit": args.platform.database.storage}},
                {"name": "run", "emptyDir": {"medium": "Memory", "sizeLimit": "16Mi"}},
                # WAL is fetched ahead of its replay.
                {"name": "spool", "emptyDir": {"sizeLimit": "512Mi"}},
                KEYS_VOLUME,
            ],
        },
    }
