"""One request, followed through a real region: its spans down to the SQL statement, and its lines in every log."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.cluster.conftest import RunningPlatform
from vitalops import conventions as c

FOUND_SECONDS = 15.0
"""How soon a line or a span must be findable; it takes about two on a machine that does nothing else."""


def eventually(ask: Callable[[], Any], good: Callable[[Any], bool], seconds: float = FOUND_SECONDS) -> Any:
    """The first good answer, or the last one."""
    end = time.monotonic() + seconds
    while True:
        found = ask()
        if good(found) or time.monotonic() > end:
            return found
        time.sleep(0.5)


def lines_of(platform: RunningPlatform, trace_id: str, *, check: bool = True) -> list[dict[str, Any]]:
    done = platform.vitalops("logs", "--trace", trace_id, "--output", "json", check=check)
    return json.loads(done.stdout)["lines"] if done.stdout else []


def spans_of(platform: RunningPlatform, trace_id: str) -> list[dict[str, Any]]:
    done = platform.vitalops("traces", trace_id, "--output", "json", check=False)
    return json.loads(done.stdout)[0]["spans"] if done.returncode == 0 else []


def services(items: list[dict[str, Any]]) -> set[str]:
    return {item["service"] for item in items}


@pytest.fixture(scope="module")
def walk(running_platform: RunningPlatform) -> str:
    """The trace id of a synthetic consultation."""
    done = running_platform.vitalops("probe", "--count", "1", "--output", "json", check=False)
    return json.loads(done.stdout.splitlines()[0])["trace_id"]


@pytest.fixture(scope="module")
def client(running_platform: RunningPlatform) -> Iterator[httpx.Client]:
    import ssl

    trust = ssl.create_default_context(cafile=str(running_platform.ca_file))
    with httpx.Client(base_url=running_platform.edge_url, verify=trust, timeout=10) as made:
        yield made


def traced(client: httpx.Client, path: str, **more: Any) -> tuple[str, str, httpx.Response]:
    """A request with a trace of its own: trace id, id of the span above, answer."""
    trace_id, span_id = secrets.token_hex(16), secrets.token_hex(8)
    headers = {"traceparent": f"00-{trace_id}-{span_id}-01", **more.pop("headers", {})}
    return trace_id, span_id, client.get(path, headers=headers, **more)


def test_a_trace_runs_from_the_gateway_through_services_to_the_statement(
    running_platform: RunningPlatform, walk: str
) -> None:
    spans = eventually(
        lambda: spans_of(running_platform, walk),
        lambda spans: len(services(spans)) >= 6 and any("db.query.text" in span["tags"] for span in spans),
    )
    assert {c.GATEWAY_SERVICE, "identity", "scheduling", "audit"} <= services(spans)
    by_id = {span["id"]: span for span in spans}

    def above(span: dict[str, Any]) -> list[str]:
        names: list[str] = []
        while span["parent_id"] in by_id:
            span = by_id[span["parent_id"]]
            names.append(span["service"])
        return names

    statements = [span for span in spans if span["tags"].get("db.system.name") == "postgresql"]
    # A statement of a service that another service called, below the gateway.
    deep = [above(span) for span in statements if len(set(above(span))) >= 3]
    assert deep, f"{len(statements)} statements"
    assert deep[0][-1] == c.GATEWAY_SERVICE


def test_its_lines_are_found_in_several_services_and_the_gateway(
    running_platform: RunningPlatform, walk: str
) -> None:
    lines = eventually(lambda: lines_of(running_platform, walk), lambda lines: len(services(lines)) >= 5)
    assert {c.GATEWAY_SERVICE, "identity", "scheduling"} <= services(lines)
    assert {line["fields"]["trace_id"] for line in lines} == {walk}
    assert {line["region"] for line in lines} == {running_platform.pair.primary}
    assert all(line["level"] for line in lines)
    times = [line["nanoseconds"] for line in lines]
    assert times == sorted(times)


def test_one_request_is_found_by_the_id_that_its_sender_chose(
    running_platform: RunningPlatform, client: httpx.Client
) -> None:
    trace_id, span_id, answer = traced(client, "/identity/.well-known/jwks.json")
    assert answer.status_code == 200
    began = time.monotonic()
    lines = eventually(
        lambda: lines_of(running_platform, trace_id),
        lambda lines: services(lines) >= {c.GATEWAY_SERVICE, "identity"},
    )
    took = time.monotonic() - began
    assert services(lines) == {c.GATEWAY_SERVICE, "identity"}, f"after {took:.1f} s"
    spans = eventually(lambda: spans_of(running_platform, trace_id), lambda spans: len(spans) >= 2)
    gateway = next(span for span in spans if span["service"] == c.GATEWAY_SERVICE)
    assert gateway["parent_id"] == span_id
    assert any(span["service"] == "identity" and span["parent_id"] == gateway["id"] for span in spans)


def test_a_refused_request_has_its_line_at_the_gateway(
    running_platform: RunningPlatform, client: httpx.Client
) -> None:
    trace_id, _, answer = traced(client, "/records/fhir/Patient")
    assert answer.status_code == 401
    lines = eventually(lambda: lines_of(running_platform, trace_id), bool)
    assert [(line["service"], line["fields"]["status"]) for line in lines] == [(c.GATEWAY_SERVICE, 401)]


def test_probes_and_scrapes_do_not_crowd_the_store(running_platform: RunningPlatform) -> None:
    done = running_platform.vitalops("traces", "--since", "1m", "--limit", "500", "--output", "json")
    names = {span["name"] for trace in json.loads(done.stdout)["traces"] for span in trace["spans"]}
    assert not {name for name in names if name.endswith(("/livez", "/readyz", "/metrics"))}


def test_lines_outlive_their_pod(running_platform: RunningPlatform, client: httpx.Client) -> None:
    region = running_platform.pair.primary
    trace_id, _, _ = traced(client, "/payment/openapi.json")
    (before,) = eventually(
        lambda: [line for line in lines_of(running_platform, trace_id) if line["service"] == "payment"], bool
    )
    running_platform.kubectl(
        region, "-n", c.NAMESPACE_SERVICES, "delete", "pod", before["pod"], "--wait=true"
    )
    running_platform.kubectl(
        region, "-n", c.NAMESPACE_SERVICES, "rollout", "status", "deployment/payment", "--timeout=120s"
    )
    assert before in lines_of(running_platform, trace_id)


def test_what_is_printed_while_the_store_is_away_arrives_afterwards(
    running_platform: RunningPlatform, client: httpx.Client
) -> None:
    region = running_platform.pair.primary
    namespace = ("-n", c.NAMESPACE_TELEMETRY)
    running_platform.kubectl(region, *namespace, "delete", "pod", f"{c.LOGS_SERVICE}-0", "--wait=false")
    trace_id, _, _ = traced(client, "/identity/.well-known/jwks.json")
    running_platform.kubectl(
        region, *namespace, "rollout", "status", f"statefulset/{c.LOGS_SERVICE}", "--timeout=180s"
    )
    lines = eventually(
        lambda: lines_of(running_platform, trace_id, check=False),
        lambda lines: services(lines) >= {c.GATEWAY_SERVICE, "identity"},
        seconds=60,
    )
    assert services(lines) == {c.GATEWAY_SERVICE, "identity"}
    # What had been stored before is still there, and nothing is there twice.
    identities = [(line["nanoseconds"], line["pod"], line["text"]) for line in lines]
    assert len(identities) == len(set(identities))


@pytest.mark.parametrize("command", ["logs", "traces"])
def test_a_region_that_does_not_run_is_one_line(running_platform: RunningPlatform, command: str) -> None:
    done = running_platform.vitalops(command, "--region", "ch-gva", check=False)
    assert done.returncode == 3
    assert done.stdout == ""
    (told,) = done.stderr.splitlines()
    assert "region ch-gva" in told
