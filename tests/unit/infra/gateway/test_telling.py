"""What the gateway tells of a request, by a HAProxy that really runs (on a socket in a folder, not on the network)."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra.gateway.telling import identify, log_format
from services.common.gateway_span import HEADER_GATEWAY
from services.common.traffic import HEADER_SYNTHETIC
from vitalops import conventions as c

HAPROXY = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin")
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
GIVEN = f"00-{TRACE}-{SPAN}-01"
TOLD = (
    "traceparent",
    "tracestate",
    "baggage",
    c.HEADER_REQUEST_ID,
    c.HEADER_GATEWAY_SPAN,
    c.HEADER_SYNTHETIC,
)

pytestmark = pytest.mark.skipif(HAPROXY is None, reason="haproxy is not installed")


class Gateway:
    """A gateway that answers with the headers a service would have got."""

    def __init__(self, folder: Path, ratio: float) -> None:
        self._log = folder / "log"
        socket = folder / "http"
        told = ",".join(f'"{name}":"%[req.hdr({name}),json]"' for name in TOLD)
        text = (
            "global\n  log stdout format raw local0 info\n"
            "defaults\n  mode http\n  log global\n"
            "  timeout connect 2s\n  timeout client 5s\n  timeout server 5s\n"
            f"frontend api\n  bind unix@{socket}\n{log_format('fr-par')}\n{identify(ratio)}"
            "  default_backend echo\n"
            "backend echo\n  http-request return status 200 content-type application/json "
            f"lf-string '{{{told}}}'\n"
        )
        (folder / "haproxy.cfg").write_text(text)
        assert HAPROXY is not None
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [HAPROXY, "-db", "-f", str(folder / "haproxy.cfg")], stdout=log, stderr=log
            )
        deadline = time.monotonic() + 10
        while not socket.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        self._client = httpx.Client(transport=httpx.HTTPTransport(uds=str(socket)), base_url="http://gateway")

    def ask(self, path: str = "/records/fhir/Patient", *headers: tuple[str, str]) -> dict[str, Any]:
        return self._client.get(path, headers=list(headers)).json()

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._log.read_text().splitlines() if line.startswith("{")]

    def close(self) -> None:
        self._client.close()
        self._process.terminate()
        self._process.wait(10)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    made = Gateway(tmp_path_factory.mktemp("gw"), 1.0)
    yield made
    made.close()


def test_services_and_suite_call_the_headers_the_same() -> None:
    assert (HEADER_GATEWAY, HEADER_SYNTHETIC) == (c.HEADER_GATEWAY_SPAN, c.HEADER_SYNTHETIC)


def test_a_trace_begins_here_with_the_gateways_span_above_everything(gateway: Gateway) -> None:
    before = time.time()
    told = gateway.ask()
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", told["traceparent"])
    began, above = told[c.HEADER_GATEWAY_SPAN].split("-")
    assert above == "0" * 16
    assert abs(int(began) / 1e6 - before) < 5


def test_a_trace_from_outside_is_continued_under_the_gateways_own_span(gateway: Gateway) -> None:
    told = gateway.ask("/", ("traceparent", GIVEN), ("tracestate", "a=Dupont"), ("baggage", "b=Dupont"))
    _, trace, span, recorded = told["traceparent"].split("-")
    assert (trace, recorded) == (TRACE, "01")
    assert span != SPAN
    assert told[c.HEADER_GATEWAY_SPAN].endswith(f"-{SPAN}")
    assert (told["tracestate"], told["baggage"]) == ("", "")


@pytest.mark.parametrize(
    "given",
    [
        [f"00-{'0' * 32}-{SPAN}-01"],
        [f"00-{TRACE}-{'0' * 16}-01"],
        [f"00-{TRACE.upper()}-{SPAN}-01"],
        [f"ff-{TRACE}-{SPAN}-01"],
        [GIVEN, 'x-"evil",{-b-01'],
        [f'"x",{GIVEN}'],
        [f"{GIVEN}-more"],
    ],
)
def test_what_is_no_trace_begins_a_new_one(gateway: Gateway, given: list[str]) -> None:
    told = gateway.ask("/", *(("traceparent", value) for value in given))
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", told["traceparent"])
    assert TRACE not in told["traceparent"]


def test_the_outside_neither_forges_the_gateways_word_nor_has_its_trace_recorded(tmp_path: Path) -> None:
    never = Gateway(tmp_path, 0.0)
    try:
        told = never.ask("/", ("traceparent", GIVEN), (c.HEADER_GATEWAY_SPAN, f"1-{SPAN}"))
    finally:
        never.close()
    assert told["traceparent"].endswith("-00")
    assert re.fullmatch(rf"\d{{16}}-{SPAN}", told[c.HEADER_GATEWAY_SPAN])


@pytest.mark.parametrize(("sent", "kept"), [("1", "1"), ("true", ""), ("0", ""), ("", "")])
def test_synthetic_requests_are_marked_by_one_value(gateway: Gateway, sent: str, kept: str) -> None:
    assert gateway.ask("/", (c.HEADER_SYNTHETIC, sent))[c.HEADER_SYNTHETIC] == kept


def test_a_request_id_is_used_as_it_was_tested(gateway: Gateway) -> None:
    name = c.HEADER_REQUEST_ID
    assert gateway.ask("/", (name, "abc-12345678"))[name] == "abc-12345678"
    assert "evil" not in gateway.ask("/", (name, "abc-12345678"), (name, 'x"evil'))[name]


def test_the_log_line_has_the_fields_of_the_services_lines_and_no_names(gateway: Gateway) -> None:
    path = "/records/fhir/Patient/jean.dupont%40example.org/8f14e45f?name=Dupont"
    gateway.ask(path, ("traceparent", GIVEN), ("authorization", "Bearer Dupont"))
    deadline = time.monotonic() + 5
    while not (
        found := [line for line in gateway.lines() if line["path"].startswith("/records/fhir/Patient/")]
    ):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    line = found[-1]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", line["timestamp"])
    assert line["path"] == "/records/fhir/Patient/:id/:id"
    assert (line["service"], line["region"], line["event"], line["level"]) == (
        "gateway", "fr-par", "request", "info",
    )  # fmt: skip
    assert (line["trace_id"], line["status"], line["method"]) == (TRACE, 200, "GET")
    assert "upont" not in json.dumps(line)
