"""Reports on a call's quality, and consultations of synthetic traffic."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.common.testing import FixedClock, TokenSigner
from services.common.traffic import HEADER_SYNTHETIC
from services.consultation.quality import Media, Stream, StreamState, classify, judge
from services.consultation.sweep import Sweeper
from tests.unit.services.consultation.conftest import (
    DOCTOR,
    OTHER,
    PATIENT,
    Act,
    Room,
    an_appointment,
    in_call,
)

AUDIO = {"media": "audio", "seconds": 12, "packets": 600, "lost": 3, "jitter_ms": 4.5, "rtt_ms": 30}
VIDEO = {"media": "video", "seconds": 12, "packets": 900, "lost": 0, "jitter_ms": 2, "rtt_ms": 30}
MORE = {"frames": 180, "freezes": 1, "frozen_seconds": 0.6}


@pytest.fixture
def calling(call: tuple[str, Room, dict[str, str]], clock: FixedClock) -> str:
    """A consultation whose parties have been in the room for a minute."""
    identifier, room, identities = call
    in_call(room, identities)
    clock.advance(seconds=60)
    return f"consultations/{identifier}/quality"


def report(act: Act, path: str, *streams: dict[str, Any], role: str = "patient", subject: str = "") -> Any:
    return act(role, path, subject, json={"streams": streams or [AUDIO, VIDEO | MORE]})


def test_both_parties_report_and_the_streams_are_counted(client: Any, act: Act, calling: str) -> None:
    for role in ("patient", "practitioner"):
        answer = report(act, calling, role=role)
        assert answer.status_code == 201, answer.text
        states = [(stream["media"], stream["state"]) for stream in answer.json()["streams"]]
        assert states == [("audio", "good"), ("video", "good")]
        assert 4 < answer.json()["streams"][0]["mos"] < 4.5
    metrics = client.get("/metrics").text
    assert 'vitalops_call_streams_total{media="audio",state="good",traffic="real"} 2.0' in metrics
    assert 'vitalops_call_streams_total{media="video",state="poor",traffic="synthetic"} 0.0' in metrics
    for name in ("loss_ratio", "jitter_seconds", "rtt_seconds", "freeze_ratio"):
        assert f'vitalops_call_{name}_count{{media="video",traffic="real"}} 2.0' in metrics
    assert 'vitalops_call_mos_count{media="audio",traffic="real"} 2.0' in metrics
    assert 'vitalops_call_freeze_ratio_bucket{le="0.05",media="video",traffic="real"} 2.0' in metrics
    assert PATIENT not in metrics


def test_a_report_sent_twice_counts_once(client: Any, calling: str, signer: TokenSigner) -> None:
    headers = signer.headers("patient", PATIENT)
    first, again = (
        client.post(f"/v1/{calling}", json={"streams": [AUDIO]}, headers=headers) for _ in range(2)
    )
    assert (first.status_code, again.status_code, first.json()) == (201, 201, again.json())
    assert 'streams_total{media="audio",state="good",traffic="real"} 1.0' in client.get("/metrics").text


def test_reports_come_at_intervals_and_end_some_time(
    act: Act, calling: str, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.consultation.reports.MOST", 4)
    assert report(act, calling).status_code == 201
    early = report(act, calling)
    assert (early.status_code, early.headers["retry-after"]) == (429, "10")
    assert report(act, calling, role="practitioner").status_code == 201
    for _ in range(3):
        clock.advance(seconds=11)
        assert report(act, calling).status_code == 201
    clock.advance(seconds=11)
    assert report(act, calling).status_code == 429


def test_nobody_else_reports_and_the_attempt_is_recorded(
    client: Any, act: Act, calling: str, platform: Any, signer: TokenSigner
) -> None:
    assert report(act, calling, subject=OTHER).status_code == 404
    service = client.post(
        f"/v1/{calling}", json={"streams": [AUDIO]}, headers=signer.headers("service", "records")
    )
    assert service.status_code == 403
    client.deliver()
    assert [
        (event["action"], event["actor"]) for event in platform.audit if event["outcome"] == "denied"
    ] == [("consultation.quality", OTHER)]


def test_only_who_was_in_the_room_reports_and_not_for_longer(
    act: Act, call: tuple[str, Room, dict[str, str]], clock: FixedClock
) -> None:
    identifier, room, identities = call
    path = f"consultations/{identifier}/quality"
    assert report(act, path).status_code == 409
    in_call(room, identities)
    assert report(act, path, AUDIO | {"seconds": 600}).status_code == 422
    assert act("practitioner", f"consultations/{identifier}/complete").status_code == 200
    clock.advance(minutes=59)
    assert report(act, path).status_code == 201
    clock.advance(minutes=2)
    assert report(act, path, role="practitioner").status_code == 409


NONSENSE: tuple[dict[str, Any], ...] = (
    AUDIO | {"packets": -1},
    AUDIO | {"seconds": 0},
    AUDIO | {"rtt_ms": -1},
    AUDIO | {"frozen_seconds": 1},
    AUDIO | {"frames": 10},
    AUDIO | {"concealed_percent": 101},
    AUDIO | {"media": "smell"},
    AUDIO | {"participant": "Dupont"},
    VIDEO | {"concealed_percent": 1},
    VIDEO | {"frozen_seconds": 13},
    {key: value for key, value in VIDEO.items() if key != "packets"},
)


def test_nonsense_is_refused(act: Act, calling: str) -> None:
    for wrong in NONSENSE:
        assert report(act, calling, wrong).status_code == 422, wrong
    assert report(act, calling, *[AUDIO] * 9).status_code == 422


def stream(media: Media = Media.AUDIO, **change: Any) -> Stream:
    base = AUDIO if media is Media.AUDIO else VIDEO | {"frames": 180, "frozen_seconds": 0.6}
    return Stream(**base | {"media": media} | change)


@pytest.mark.parametrize(
    ("judged", "state"),
    [
        (stream(), StreamState.GOOD),
        (stream(rtt_ms=500), StreamState.GOOD),
        (stream(rtt_ms=501), StreamState.POOR),
        (stream(jitter_ms=30), StreamState.GOOD),
        (stream(jitter_ms=30.1), StreamState.POOR),
        (stream(packets=900, lost=100), StreamState.GOOD),
        (stream(packets=900, lost=101), StreamState.POOR),
        (stream(concealed_percent=7), StreamState.GOOD),
        (stream(concealed_percent=7.1), StreamState.POOR),
        (stream(packets=500, lost=500), StreamState.UNCLASSIFIED),
        (stream(packets=501, lost=500), StreamState.POOR),
        (stream(Media.VIDEO), StreamState.GOOD),
        (stream(Media.VIDEO, frozen_seconds=6.1), StreamState.POOR),
        (stream(Media.VIDEO, frames=83), StreamState.POOR),
        (stream(Media.VIDEO, frames=0, frozen_seconds=0), StreamState.POOR),
        (stream(Media.VIDEO, packets=800, lost=150), StreamState.POOR),
        (stream(Media.VIDEO, packets=900, lost=150), StreamState.GOOD),
        (stream(Media.VIDEO, frames=None, frozen_seconds=None), StreamState.GOOD),
        (stream(Media.VIDEO, seconds=5), StreamState.UNCLASSIFIED),
        (stream(Media.VIDEO, packets=0), StreamState.UNCLASSIFIED),
    ],
)
def test_states_are_those_of_teams(judged: Stream, state: StreamState) -> None:
    assert classify(judged) is state


@settings(max_examples=60)
@given(lost=st.integers(-500, 5000), packets=st.integers(0, 5000), rtt=st.floats(0, 60_000))
def test_figures_stay_within_their_scales(lost: int, packets: int, rtt: float) -> None:
    judged = judge(stream(packets=packets, lost=lost, rtt_ms=rtt))
    assert 0 <= judged.loss_ratio <= 1
    assert judged.mos is not None
    assert 1 <= judged.mos <= 4.5


def test_a_synthetic_consultation_is_counted_apart_whoever_ends_it(
    client: Any, signer: TokenSigner, clock: FixedClock
) -> None:
    mark = {HEADER_SYNTHETIC: "1"}
    for headers in (mark, {}):
        body = {"appointment_id": an_appointment()}
        made = client.post(
            "/v1/consultations", json=body, headers=signer.headers("practitioner", DOCTOR) | headers
        )
        assert made.status_code == 201
    clock.advance(hours=2)
    Sweeper(client.app.state.context, client.app.state.service.metrics).step()
    metrics = client.get("/metrics").text
    for traffic in ("real", "synthetic"):
        assert f'consultations_ended_total{{outcome="missed",traffic="{traffic}"}} 1.0' in metrics


def test_synthetic_calls_report_as_such(client: Any, signer: TokenSigner, clock: FixedClock) -> None:
    """Also by requests that do not say so themselves: the media server's, and a party's whose client forgot."""

    def act(role: str, path: str, subject: str = "", **options: Any) -> Any:
        who = subject or {"patient": PATIENT, "practitioner": DOCTOR}[role]
        headers = signer.headers(role, who) | options.pop("mark", {})
        return client.post(f"/v1/{path}", headers=headers, **options)

    mark = {HEADER_SYNTHETIC: "1"}
    made = act("patient", "consultations", json={"appointment_id": an_appointment()}, mark=mark)
    identifier = made.json()["id"]
    doctor = act("practitioner", f"consultations/{identifier}/join").json()
    act("practitioner", f"consultations/{identifier}/admit")
    patient = act("patient", f"consultations/{identifier}/join").json()
    identities = {"patient": patient["identity"], "practitioner": doctor["identity"]}
    in_call(Room(client, clock, doctor["room"]), identities)
    clock.advance(seconds=20)
    assert report(act, f"consultations/{identifier}/quality").status_code == 201
    metrics = client.get("/metrics").text
    for series in (
        'vitalops_call_streams_total{media="audio",state="good",traffic="synthetic"} 1.0',
        'vitalops_consultation_join_duration_seconds_count{party="patient",traffic="synthetic"} 1.0',
        'vitalops_consultation_media_duration_seconds_count{traffic="synthetic"} 1.0',
        'vitalops_consultation_media_duration_seconds_count{traffic="real"} 0.0',
    ):
        assert series in metrics
