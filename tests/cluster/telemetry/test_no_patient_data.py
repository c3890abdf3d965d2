"""Nothing about a patient is in metrics, traces or logs, whatever they ask for and however it is answered."""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pytest

from infra.program.inputs import gateway_endpoint
from tests.cluster.conftest import RunningPlatform
from tests.cluster.telemetry.seeds import Patient, checked, forms, found_in
from tests.cluster.telemetry.stores import Stores, Text
from tests.cluster.telemetry.visits import visit

SHIPPED_SECONDS = 60.0
"""Logs and spans are sent in batches."""


def test_a_seed_is_recognised_however_it_is_written() -> None:
    patient = Patient.fresh()
    for name, seed in patient.seeds().items():
        document = json.dumps({"before": "x" * len(name), "value": seed, "after": 1})
        for place in (
            f"GET /a?{urlencode({'q': seed})}",
            document,
            json.dumps(document),
            base64.b64encode(document.encode()).decode(),
            base64.urlsafe_b64encode(document.encode()).decode().rstrip("="),
            f"KeyError: {seed!r}",
        ):
            assert found_in(place, {name: seed}), f"{name} is not recognised in {place}"
        other = Patient.fresh().seeds()[name]
        assert seed == other or not found_in(other, {name: seed})
        assert all(len(form) >= 8 for form in forms(seed))


@pytest.mark.timeout(600)
def test_no_patient_data_is_in_metrics_traces_or_logs(
    running_platform: RunningPlatform, capsys: pytest.CaptureFixture[str]
) -> None:
    patient = Patient.fresh()
    control, trace_id = f"control-{secrets.token_hex(12)}", secrets.token_hex(16)
    since = datetime.now(UTC) - timedelta(seconds=5)
    pair = running_platform.pair
    statuses = asyncio.run(
        visit(
            patient,
            running_platform.edge_url,
            f"https://{gateway_endpoint(running_platform.platform, pair.standby)}",
            running_platform.ca_file,
            running_platform.access.operator_secret(),
            control,
            trace_id,
        )
    )
    for status in (200, 201, 400, 401, 403, 404, 409, 422, 503):
        assert statuses[status], f"no visit was answered {status}: {dict(statuses)}"

    active = Stores.of(running_platform.platform, pair.primary, since)
    standby = Stores.of(running_platform.platform, pair.standby, since)
    # What can be found by the ids of the last request could be found by the patient's data as well.
    wait_for(control, active.logs)
    wait_for(trace_id, active.traces)
    assert any(control in text for _, text in active.pod_logs())
    assert any("/v1/patients" in text for _, text in active.metrics())

    texts = [*active.everything(), *standby.everything()]
    places = {place for place, _ in texts}
    for kind in (
        "metrics of records",
        "traces of records",
        "logs",
        "output of postgres",
        "output of livekit",
    ):
        assert any(kind in place for place in places), f"no {kind} among {sorted(places)}"
    found = checked(texts, patient.seeds())
    with capsys.disabled():
        size = sum(len(text) for _, text in texts) / 1e6
        print(
            f"\n{sum(statuses.values())} requests; {len(patient.seeds())} seeds looked for in {size:.1f} MB "
            f"from {len(places)} places"
        )
    assert not found, "\n".join(found)


def wait_for(sought: str, look: Callable[[], Iterator[Text]]) -> None:
    """Fails where it is not there in time."""
    deadline = time.monotonic() + SHIPPED_SECONDS
    while not any(sought in text for _, text in look()):
        assert time.monotonic() < deadline, f"{sought} did not arrive within {SHIPPED_SECONDS:g} s"
        time.sleep(2)
