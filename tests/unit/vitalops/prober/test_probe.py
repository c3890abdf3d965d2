from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.unit.vitalops.prober.fakes import URL, FakePlatform, answer, fake_call
from vitalops.consultation.walk import Outcome
from vitalops.prober.__main__ import log_line
from vitalops.prober.probe import BROKEN, UNFINISHED, Probe, ProbeResult, Target, masked

TARGET = Target(URL, Path("/nowhere/ca.crt"), "secret")
APPOINTMENTS = "/scheduling/v1/appointments"
CANCELLATION = f"{APPOINTMENTS}/a1/cancellation"


def prober(platform: FakePlatform, target: Target = TARGET, seconds: float = 5.0) -> Probe:
    return Probe(target, open_edge=platform.edge, open_call=fake_call, walk_seconds=seconds)


def walks(platform: FakePlatform, count: int = 1, **more: float) -> list[ProbeResult]:
    async def go() -> list[ProbeResult]:
        probe = prober(platform, **more)
        return [await probe.once() for _ in range(count)]

    return asyncio.run(go())


def unavailable() -> httpx.Response:
    return answer(503, title="Service Unavailable")


def test_walks_pass_and_leave_two_accounts_however_many_they_are() -> None:
    platform = FakePlatform()
    results = walks(platform, 3)
    assert [(each.outcome, each.problem) for each in results] == [(Outcome.PASSED, "")] * 3
    assert platform.people == 2
    assert (len(platform.grants), len(platform.slots)) == (2, 1)
    assert platform.made("/records/fhir/Patient") == platform.made("/records/fhir/Encounter") == 1
    assert platform.counts[f"POST {APPOINTMENTS}"] == platform.counts[f"POST {CANCELLATION}"] == 3
    assert platform.made("/records/fhir/Observation") == 3
    assert platform.made("/prescription/v1/prescriptions") == 3


def test_every_request_says_that_it_is_synthetic_and_belongs_to_the_walks_trace() -> None:
    platform = FakePlatform()
    first, second = walks(platform, 2)
    assert {each.headers["x-vitalops-synthetic"] for each in platform.requests} == {"1"}
    traces = {each.headers["traceparent"].split("-")[1] for each in platform.requests}
    assert traces == {first.trace_id, second.trace_id}


def test_a_second_factor_is_not_used_twice() -> None:
    platform = FakePlatform()
    walks(platform, 2)
    # Both walks are within one time step of the code, or in two: the patient signs in twice either way.
    assert platform.counts["GET /identity/authorize"] in (3, 4)


def test_a_region_is_reached_through_its_own_gateway() -> None:
    platform = FakePlatform()
    target = Target(URL, Path("/nowhere/ca.crt"), "secret", via="https://gateway.inside:8443")
    result = asyncio.run(prober(platform, target).once())
    assert result.passed
    assert {each.url.host for each in platform.requests} == {"gateway.inside"}
    assert {each.headers["host"] for each in platform.requests} == {"edge.test"}


@pytest.mark.parametrize(
    ("path", "step"),
    [
        ("/identity/v1/patients", "accounts are there"),
        ("/identity/authorize", "both sign in"),
        ("/scheduling/v1/slots", "practitioner has a free slot"),
        ("/scheduling/v1/appointments", "patient books it"),
        ("/consent", "patient has consented"),
        ("/records", "note is written and read"),
        ("/prescription", "prescription is signed"),
    ],
)
def test_a_walk_that_fails_names_its_step_and_the_next_one_recovers(path: str, step: str) -> None:
    platform = FakePlatform()

    async def go() -> tuple[ProbeResult, ProbeResult]:
        probe = prober(platform)
        platform.broken[path] = unavailable
        failed = await probe.once()
        platform.broken.clear()
        return failed, await probe.once()

    failed, passed = asyncio.run(go())
    assert (failed.outcome, failed.failed_step) == (Outcome.FAILED, step)
    assert "503 Service Unavailable" in failed.problem
    assert passed.passed
    assert not platform.booked


def test_a_slot_that_could_not_be_let_go_of_is_not_booked_again() -> None:
    platform = FakePlatform(broken={CANCELLATION: unavailable})
    assert all(each.passed for each in walks(platform, 2))
    assert len(platform.slots) == 2
    assert platform.slots[0]["ends_at"] == platform.slots[1]["starts_at"]


def test_both_clients_tell_how_the_call_arrived() -> None:
    platform = FakePlatform()
    assert walks(platform)[0].passed
    assert platform.made("/consultation/v1/consultations/c1/quality") == 2


def hang_at(path: str, platform: FakePlatform) -> Callable[..., object]:
    """A platform's edge whose requests to `path` are never answered."""

    async def handle(request: httpx.Request) -> httpx.Response:
        if request.url.path == path:
            await asyncio.Event().wait()
        return platform(request)

    from vitalops.consultation.http import Edge

    return lambda url, _, **more: Edge(url, httpx.MockTransport(handle), **more)


def test_a_walk_without_end_is_given_up_and_tidied_up() -> None:
    platform = FakePlatform()
    edge = hang_at("/prescription/v1/prescriptions", platform)
    probe = Probe(TARGET, open_edge=edge, open_call=fake_call, walk_seconds=0.3)
    result = asyncio.run(probe.once())
    assert (result.failed_step, result.problem) == (UNFINISHED, "given up after 0.3 s")
    assert not platform.booked


def test_a_walk_that_is_interrupted_lets_go_of_its_appointment() -> None:
    platform = FakePlatform()
    edge = hang_at("/consent/v1/purposes", platform)

    async def go() -> None:
        walking = asyncio.create_task(Probe(TARGET, open_edge=edge, open_call=fake_call).once())
        while not platform.booked:
            await asyncio.sleep(0)
        walking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await walking

    asyncio.run(go())
    assert not platform.booked


def test_a_fault_of_the_prober_is_a_failed_walk_and_not_its_end() -> None:
    def break_down(*_: object, **__: object) -> None:
        raise KeyError("no such thing")

    result = asyncio.run(Probe(TARGET, open_edge=break_down, open_call=fake_call).once())
    assert (result.outcome, result.failed_step) == (Outcome.FAILED, BROKEN)
    assert "KeyError" in result.problem


def test_a_log_line_is_json_and_names_nobody() -> None:
    problem = "GET /records/fhir/Patient/0b2f8a5e-5d3e-4c39-9d6e-0c0a61f9a2b1 of verify-patient-12ab@example.invalid"
    assert masked(problem) == "GET /records/fhir/Patient/:id of :id"
    failed = walks(FakePlatform(broken={"/records": unavailable}))[0]
    line = json.loads(log_line(failed, "fr-par"))
    assert (line["outcome"], line["step"], line["region"]) == ("failed", "note is written and read", "fr-par")
    assert line["trace_id"] == failed.trace_id
    passed = json.loads(log_line(walks(FakePlatform())[0], "fr-par"))
    assert "problem" not in passed
    assert "secret" not in repr(TARGET)
