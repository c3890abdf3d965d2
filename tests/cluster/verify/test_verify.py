"""`vitalops verify` on the real platform: it passes on a good one, and says where a broken one breaks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.conftest import RunningPlatform
from vitalops.consultation import refusals
from vitalops.conventions import NAMESPACE_SERVICES
from vitalops.pki import CertificateAuthority

REFUSALS = tuple(step.name for step in refusals.steps(lambda _, token: token))


@pytest.fixture(scope="module")
def report(running_platform: RunningPlatform) -> dict[str, Any]:
    return json.loads(running_platform.vitalops("verify", "--output", "json").stdout)


def test_a_consultation_goes_through(report: dict[str, Any]) -> None:
    assert report["verified"] is True
    assert report["failed_step"] == ""
    assert {step["outcome"] for step in report["steps"]} == {"passed"}


def test_media_really_flows_in_both_directions(report: dict[str, Any]) -> None:
    receivers = {reception["receiver"]: reception for reception in report["call"]}
    assert receivers.keys() == {"patient", "practitioner"}
    for reception in receivers.values():
        assert reception["sender"].startswith(({"patient", "practitioner"} - {reception["receiver"]}).pop())
        assert reception["frame_size"] == "320x240"
        assert reception["frames_decoded"] >= 25
        assert reception["audio_packets"] > 0
        assert reception["rtt_ms"] > 0
        assert 3.5 <= reception["mos"] <= 4.5


@pytest.mark.parametrize("name", REFUSALS)
def test_what_must_be_refused_is_refused(report: dict[str, Any], name: str) -> None:
    (step,) = (step for step in report["steps"] if step["name"] == name)
    assert step["outcome"] == "passed", step["detail"]


def test_each_step_is_told_with_its_time(running_platform: RunningPlatform, report: dict[str, Any]) -> None:
    done = running_platform.vitalops("verify", "--seconds", "1")
    lines = [line for line in done.stdout.splitlines() if line.startswith("✓")]
    assert len(lines) == len(report["steps"])
    for line, step in zip(lines, report["steps"], strict=True):
        assert step["name"] in line
        assert " s  " in line


@pytest.fixture
def no_payment(running_platform: RunningPlatform) -> Iterator[None]:
    region = running_platform.pair.primary
    scale = ("scale", "deployment/payment", "-n", NAMESPACE_SERVICES)
    gone = ("wait", "--for=delete", "pod", "-n", NAMESPACE_SERVICES, "-l", "app.kubernetes.io/name=payment")
    ready = ("rollout", "status", "deployment/payment", "-n", NAMESPACE_SERVICES, "--timeout=120s")
    running_platform.kubectl(region, *scale, "--replicas=0")
    try:
        running_platform.kubectl(region, *gone, "--timeout=60s")
        yield
    finally:
        running_platform.kubectl(region, *scale, "--replicas=1")
        running_platform.kubectl(region, *ready)


@pytest.mark.usefixtures("no_payment")
def test_a_missing_service_fails_the_step_that_needs_it(running_platform: RunningPlatform) -> None:
    done = running_platform.vitalops("verify", "--seconds", "1", "--output", "json", check=False)
    assert done.returncode == 1
    report = json.loads(done.stdout)
    assert report["verified"] is False
    assert report["failed_step"] == report["steps"][-1]["name"] == "patient pays, once"
    assert "503" in report["steps"][-1]["detail"]
    error = json.loads(done.stderr.splitlines()[-1])["error"]
    assert error["kind"] == "GateFailed"
    assert "patient pays, once" in error["message"]


def test_an_edge_with_another_authority_is_not_trusted(
    running_platform: RunningPlatform, tmp_path: Path
) -> None:
    stranger = tmp_path / "stranger.crt"
    stranger.write_text(CertificateAuthority.create("stranger").certificate_pem)
    done = running_platform.vitalops("verify", "--ca", str(stranger), check=False)
    assert done.returncode == 1
    assert "edge answers with the platform's certificate" in done.stderr
    assert "CERTIFICATE_VERIFY_FAILED" in done.stderr


def test_an_edge_that_is_not_there_is_named(running_platform: RunningPlatform) -> None:
    done = running_platform.vitalops("verify", "--edge", "https://localhost:1", check=False)
    assert done.returncode == 1
    assert "no answer from https://localhost:1" in done.stderr
