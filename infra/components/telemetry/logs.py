"""Loki, the region's store of logs: one process, its own volume, searchable by region, service and trace id."""

from __future__ import annotations

from typing import Any, Final

import yaml

from infra.components.args import RegionArgs
from infra.components.kit import TMP_MOUNT, Manifest, config_map, http_probe, service_account
from infra.components.policies import pods
from infra.components.telemetry.flows import asked_by_operators
from infra.components.telemetry.scrape import METRICS_PORT_NAME
from infra.components.telemetry.traces import go_memory
from infra.components.telemetry.workload import DATA_VOLUME, container, service, stateful_set
from infra.engines.objects import fingerprint
from vitalops import conventions as c

NAME: Final = c.LOGS_SERVICE
CONFIG: Final = "loki-config"
CONFIG_FOLDER: Final = "/etc/loki"
DATA_FOLDER: Final = "/loki"
INDEXED: Final = (c.METRIC_REGION, c.METRIC_SERVICE)
"""Labels of a stream. Few values each: everything else of a line, the trace id too, is structured metadata."""
MOST_LINES: Final = 5000
"""Lines of one answer."""
_NEWEST_FUTURE: Final = "10m"
_CACHE_MEGABYTES: Final = 8
_ALIVE: Final = "/loki/api/v1/status/buildinfo"
"""Answered without asking anything else."""


def configuration(args: RegionArgs) -> dict[str, Any]:
    """loki.yaml as data."""
    hours = args.platform.telemetry.log_retention_days * 24
    inner = {"address": "127.0.0.1", "kvstore": {"store": "inmemory"}}
    small_cache = {"embedded_cache": {"enabled": True, "max_size_mb": _CACHE_MEGABYTES, "ttl": "10m"}}
    return {
        # One tenant. Who may ask is decided in front of it: network policies, and the API server's proxy.
        "auth_enabled": False,
        "server": {
            "http_listen_port": c.LOGS_PORT,
            "grpc_listen_address": "127.0.0.1",
            "grpc_listen_port": 9095,
            "log_level": "warn",
            "log_format": "json",
        },
        "common": {
            "path_prefix": DATA_FOLDER,
            "instance_addr": "127.0.0.1",
            "replication_factor": 1,
            "ring": {"instance_addr": inner["address"], "kvstore": inner["kvstore"]},
            "storage": {
                "filesystem": {
                    "chunks_directory": f"{DATA_FOLDER}/chunks",
                    "rules_directory": f"{DATA_FOLDER}/rules",
                }
            },
        },
        "schema_config": {
            "configs": [
                {
                    "from": "2026-01-01",
                    "store": "tsdb",
                    "object_store": "filesystem",
                    "schema": "v13",
                    "index": {"prefix": "index_", "period": "24h"},
                }
            ]
        },
        "ingester": {
            "lifecycler": {"min_ready_duration": "0s", "final_sleep": "0s"},
            # Lines leave memory early, there is little of it. Until they do, the log on the volume keeps them.
            "chunk_idle_period": "10m",
            # A stream takes lines that are behind its newest by half of this. A new shipper reads a node's files side
            # by side, old ones and new ones: all of it must be taken.
            "max_chunk_age": f"{2 * hours}h",
            "chunk_target_size": 524288,
            "chunk_encoding": "snappy",
            "wal": {"enabled": True, "replay_memory_ceiling": "64MB", "checkpoint_duration": "1m"},
        },
        "limits_config": {
            "retention_period": f"{hours}h",
            # The shipper reads what a node has kept, so its first lines may be as old as anything that is kept here.
            "reject_old_samples": True,
            "reject_old_samples_max_age": f"{hours}h",
            "creation_grace_period": _NEWEST_FUTURE,
            "allow_structured_metadata": True,
            "otlp_config": {
                "resource_attributes": {
                    "ignore_defaults": True,
                    "attributes_config": [{"action": "index_label", "attributes": list(INDEXED)}],
                }
            },
            # The shipper has worked these out already.
            "discover_log_levels": False,
            "discover_service_name": [],
            "max_entries_limit_per_query": MOST_LINES,
            # All that is kept, and a day more for clocks and rounding.
            "max_query_length": f"{hours + 24}h",
            "max_query_parallelism": 4,
            # A week in an hour's pieces would be 168 questions, most of which the first answers end.
            "split_queries_by_interval": "24h",
            "query_timeout": "30s",
            "ingestion_rate_mb": 8,
            "ingestion_burst_size_mb": 16,
            "per_stream_rate_limit": "4MB",
            "per_stream_rate_limit_burst": "8MB",
            "max_line_size": "64KB",
            "max_line_size_truncate": True,
            "volume_enabled": False,
        },
        "compactor": {
            "working_directory": f"{DATA_FOLDER}/compactor",
            "retention_enabled": True,
            "delete_request_store": "filesystem",
            "compaction_interval": "10m",
            "retention_delete_delay": "10m",
        },
        "chunk_store_config": {"chunk_cache_config": small_cache},
        "query_range": {"cache_results": False, "align_queries_with_step": False},
        "frontend": {"log_queries_longer_than": "0s"},
        # 0: lines still in memory are always asked for, however old.
        "querier": {"max_concurrent": 2, "query_ingesters_within": "0s"},
        "pattern_ingester": {"enabled": False},
        "ruler": {"enable_api": False},
        # Nothing is told to anybody outside.
        "analytics": {"reporting_enabled": False},
    }


def compile_loki(args: RegionArgs) -> str:
    """The text of the region's loki.yaml."""
    head = "# Compiled by vitalops from platform.yaml: change that instead.\n"
    return head + yaml.safe_dump(configuration(args), sort_keys=False, width=160)


def workloads(args: RegionArgs) -> list[Manifest]:
    """The StatefulSet: its volume keeps the logs over restarts."""
    settings = compile_loki(args)
    made = container(
        NAME,
        args,
        "logs",
        command=["loki", f"-config.file={CONFIG_FOLDER}/loki.yaml"],
        env=[{"name": "HOME", "value": "/tmp"}, go_memory(NAME), {"name": "GOGC", "value": "50"}],
        ports=[{"name": METRICS_PORT_NAME, "containerPort": c.LOGS_PORT, "protocol": "TCP"}],
        volumeMounts=[
            TMP_MOUNT,
            {"name": DATA_VOLUME, "mountPath": DATA_FOLDER},
            {"name": "config", "mountPath": CONFIG_FOLDER, "readOnly": True},
        ],
        # What was not yet on the volume is read again from its log first.
        startupProbe=http_probe("/ready", METRICS_PORT_NAME, period=1, failures=300),
        readinessProbe=http_probe("/ready", METRICS_PORT_NAME, period=5, failures=3),
        livenessProbe=http_probe(_ALIVE, METRICS_PORT_NAME, period=20, failures=6, timeout=10),
    )
    return [
        stateful_set(
            NAME,
            args,
            made,
            storage=args.platform.telemetry.storage,
            volumes=[{"name": "config", "configMap": {"name": CONFIG}}],
            grace_seconds=60,
            annotations={c.ANNOTATION_CONFIG_HASH: fingerprint(settings)},
        )
    ]


def flows(args: RegionArgs) -> list[Manifest]:
    """Lines from the shipper; questions from operators and Grafana."""
    shipper = pods(c.NAMESPACE_AGENTS, c.COLLECTOR)
    grafana = pods(c.NAMESPACE_TELEMETRY, c.GRAFANA_SERVICE)
    return [asked_by_operators(NAME, args, c.LOGS_PORT, shipper, grafana)]


def logs_objects(args: RegionArgs) -> list[Manifest]:
    """Everything of the store of logs but its StatefulSet."""
    settings = {"loki.yaml": compile_loki(args)}
    return [
        service_account(NAME, c.NAMESPACE_TELEMETRY, args.stack, args.region),
        config_map(CONFIG, c.NAMESPACE_TELEMETRY, args.stack, args.region, settings, NAME),
        service(NAME, args, {METRICS_PORT_NAME: c.LOGS_PORT}),
        *flows(args),
    ]
