"""A region's Alertmanager: which alert reaches whom, and when. The routing is compiled from platform.yaml."""

from __future__ import annotations

from typing import Any, Final

import yaml

from infra.components.args import RegionArgs
from infra.components.kit import TMP_MOUNT, Manifest, config_map, http_probe, secret, service_account
from infra.components.telemetry.reload import reloading
from infra.components.telemetry.scrape import METRICS_PORT_NAME
from infra.components.telemetry.workload import DATA_VOLUME, container, service, stateful_set
from vitalops import conventions as c
from vitalops.model.telemetry import Webhook

CONFIG: Final = "alertmanager-config"
TOKEN: Final = "alertmanager-webhook"  # the Secret's name
FOLDER: Final = "/etc/alertmanager"
CONFIG_FOLDER: Final = f"{FOLDER}/config"
TOKEN_FOLDER: Final = f"{FOLDER}/webhook"
TOKEN_FILE: Final = f"{TOKEN_FOLDER}/token"
AUTHORITY_KEY: Final = "ca.crt"
DATA_FOLDER: Final = "/alertmanager"
KEPT: Final = "kept-only"
"""Receiver of what is sent nowhere: the alerts are there to be asked for."""

STORAGE: Final = "128Mi"
GROUPED_BY: Final = ("alertname", c.METRIC_SERVICE, c.METRIC_REGION)
# A page waits for its companions as long as it can afford: the first notice must arrive within 75 s of the failure.
PAGE_GROUP_WAIT: Final = "5s"
TICKET_GROUP_WAIT: Final = "30s"
# Also how long an end may go unsaid: six minutes after recovery at most, five of which are the short window's.
GROUP_INTERVAL: Final = "30s"
REPEAT_INTERVAL: Final = "4h"
WATCHDOG_INTERVAL: Final = "5m"
_FIRST_ATTEMPTS_SECONDS: Final = 60


def configuration(args: RegionArgs) -> dict[str, Any]:
    """alertmanager.yml as data."""
    webhooks = args.platform.alerting.webhooks
    return {
        "global": {"resolve_timeout": "5m"},
        "route": {
            "receiver": KEPT,
            "group_by": list(GROUPED_BY),
            "group_wait": TICKET_GROUP_WAIT,
            "group_interval": GROUP_INTERVAL,
            "repeat_interval": REPEAT_INTERVAL,
            "routes": [route for webhook in webhooks for route in _routes(webhook)],
        },
        "inhibit_rules": inhibitions(),
        "receivers": [{"name": KEPT}, *map(_receiver, webhooks)],
    }


def _routes(webhook: Webhook) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = [
        {
            "receiver": webhook.name,
            "matchers": [f'alertname="{c.ALERT_WATCHDOG}"'],
            "repeat_interval": WATCHDOG_INTERVAL,
            "continue": True,
        }
    ]
    for severity in webhook.severities:
        wait = PAGE_GROUP_WAIT if severity == c.SEVERITY_PAGE else TICKET_GROUP_WAIT
        made.append(
            {
                "receiver": webhook.name,
                "matchers": [
                    f'{c.METRIC_SEVERITY}="{severity}"',
                    f'alertname!="{c.ALERT_WATCHDOG}"',
                ],
                "group_wait": wait,
                # Every webhook is told, not only the first that would take the alert.
                "continue": True,
            }
        )
    return made


def _receiver(webhook: Webhook) -> dict[str, Any]:
    trusted = (
        {"tls_config": {"ca_file": f"{TOKEN_FOLDER}/{AUTHORITY_KEY}"}} if webhook.trust == "platform" else {}
    )
    return {
        "name": webhook.name,
        "webhook_configs": [
            {
                "url": webhook.url,
                "send_resolved": True,
                "max_alerts": 0,
                "timeout": "10s",
                "http_config": {
                    "authorization": {"type": "Bearer", "credentials_file": TOKEN_FILE},
                    "follow_redirects": False,
                    **trusted,
                },
            }
        ],
    }


def _webhook_secret(args: RegionArgs) -> dict[str, str]:
    trusts = any(webhook.trust == "platform" for webhook in args.platform.alerting.webhooks)
    # Where nobody needs it, it is left out: a changed Secret restarts Alertmanager.
    return {
        "token": args.secrets.webhook_token,
        **({AUTHORITY_KEY: args.secrets.authority} if trusts else {}),
    }


def inhibitions() -> list[dict[str, Any]]:
    """What need not be said because a graver alert says it already.

    SliAbsent inhibits nothing: that an SLI cannot be measured any more does not end the fire it was measuring.
    """
    return [
        {
            "source_matchers": [f'{c.METRIC_SEVERITY}="{c.SEVERITY_PAGE}"', f'{c.METRIC_SLO}=~".+"'],
            "target_matchers": [
                f'{c.METRIC_SEVERITY}="{c.SEVERITY_TICKET}"',
                f'alertname=~"{c.ALERT_BURN}|{c.ALERT_EXHAUSTED}"',
            ],
            "equal": [c.METRIC_SLO, c.METRIC_REGION],
        },
        {
            "source_matchers": [f'alertname="{c.ALERT_PEER_UNREACHABLE}"'],
            "target_matchers": [f'alertname="{c.ALERT_TARGET_DOWN}"', f'job="{c.JOB_PEER}"'],
            "equal": [c.METRIC_REGION],
        },
    ]


def compile_alertmanager(args: RegionArgs) -> str:
    """The text of the region's alertmanager.yml."""
    head = "# Compiled by vitalops from platform.yaml: change that instead.\n"
    return head + yaml.safe_dump(configuration(args), sort_keys=False, width=160)


def workloads(args: RegionArgs) -> list[Manifest]:
    """The StatefulSet: its volume keeps silences, and what was sent, over restarts."""
    name = c.ALERTMANAGER_SERVICE
    made = container(
        name,
        args,
        "telemetry",
        command=reloading(
            FOLDER,
            "prometheus-alertmanager",
            f"--config.file={CONFIG_FOLDER}/alertmanager.yml",
            f"--storage.path={DATA_FOLDER}",
            f"--web.listen-address=:{c.ALERTMANAGER_PORT}",
            # One replica in each region: no gossip.
            "--cluster.listen-address=",
            "--log.format=json",
            "--log.level=warn",
        ),
        env=[{"name": "HOME", "value": "/tmp"}, {"name": "GOMEMLIMIT", "value": "64MiB"}],
        ports=[{"name": METRICS_PORT_NAME, "containerPort": c.ALERTMANAGER_PORT, "protocol": "TCP"}],
        volumeMounts=[
            TMP_MOUNT,
            {"name": DATA_VOLUME, "mountPath": DATA_FOLDER},
            {"name": "config", "mountPath": CONFIG_FOLDER, "readOnly": True},
            {"name": "webhook", "mountPath": TOKEN_FOLDER, "readOnly": True},
        ],
        startupProbe=http_probe("/-/ready", METRICS_PORT_NAME, period=1, failures=120),
        readinessProbe=http_probe("/-/ready", METRICS_PORT_NAME, period=5, failures=3),
        livenessProbe=http_probe("/-/healthy", METRICS_PORT_NAME, period=10, failures=6),
    )
    return [
        stateful_set(
            name,
            args,
            made,
            storage=STORAGE,
            volumes=[
                {"name": "config", "configMap": {"name": CONFIG}},
                {"name": "webhook", "secret": {"secretName": TOKEN, "defaultMode": 0o440}},
            ],
        )
    ]


def alertmanager_objects(args: RegionArgs) -> list[Manifest]:
    """Everything of Alertmanager but its StatefulSet."""
    name, namespace = c.ALERTMANAGER_SERVICE, c.NAMESPACE_TELEMETRY
    settings = {"alertmanager.yml": compile_alertmanager(args)}
    return [
        service_account(name, namespace, args.stack, args.region),
        config_map(CONFIG, namespace, args.stack, args.region, settings, name),
        secret(TOKEN, namespace, args.stack, args.region, _webhook_secret(args), name),
        service(name, args, {METRICS_PORT_NAME: c.ALERTMANAGER_PORT}),
    ]
