"""Faults of SLIs, objectives, telemetry, planned work and webhooks: each found where it is, with what to do."""

from __future__ import annotations

import pytest

from tests.unit.vitalops.model.conftest import Text

PLANNED = "\nplanned_work:\n  - {start: %s, end: %s, reason: upgrade%s}\n"
SIGNED = "good: {metric: vitalops_prescription_signatures_total, labels: {outcome: [signed]}}"


def planned(bundled: Text, start: str, end: str, more: str = "") -> Text:
    return Text(bundled.content + PLANNED % (start, end, more))


@pytest.mark.parametrize(
    ("old", "new", "pointer", "problem", "hint"),
    [
        (
            "answered: 0.999,",
            "answred: 0.999,",
            "/tiers/critical/objectives/answred",
            "no SLI 'answred'",
            "'answered'",
        ),
        (
            "objectives: {prescription-signed: 0.999}",
            "objectives: {prescription-singed: 0.999}",
            "/services/prescription/objectives/prescription-singed",
            "no SLI",
            "'prescription-signed'",
        ),
        ("tier: critical", "tier: crtical", "/services/identity/tier", "no tier 'crtical'", "'critical'"),
        (SIGNED, "", "/slis/prescription-signed", "neither `good` nor `bad`", "exactly one"),
        (
            SIGNED,
            SIGNED + "\n    bad: {metric: vitalops_prescription_signatures_total}",
            "/slis/prescription-signed",
            "both",
            "exactly one",
        ),
        (
            "total: {metric: haproxy_backend_http_responses_total",
            "total: {metric: haproxy_backend_http_response_total",
            "/slis/answered/total/metric",
            "nothing exports 'haproxy_backend_http_response_total'",
            "did you mean 'haproxy_backend_http_responses_total'",
        ),
        (
            "streams: {metric: vitalops_call_streams_total}",
            "streams: {metric: our_own_thing_total}",
            "/slis/media-quality/streams/metric",
            "nothing exports",
            "`exports`",
        ),
        (
            "total: {metric: vitalops_prober_walks_total}",
            "total: {metric: http_server_active_requests}",
            "/slis/synthetic-consultation/total/metric",
            "not a counter",
            "_total",
        ),
        (
            "total: {metric: vitalops_prober_walks_total}",
            "total: {metric: http_server_request_duration_seconds}",
            "/slis/synthetic-consultation/total/metric",
            "not a counter of events",
            "http_server_request_duration_seconds_count",
        ),
        (
            "histogram: {metric: vitalops_consultation_join_duration_seconds}",
            "histogram: {metric: vitalops_consultation_join_duration_seconds_bucket}",
            "/slis/joined-in-time/histogram/metric",
            "part of a histogram",
            "write vitalops_consultation_join_duration_seconds",
        ),
        (
            "histogram: {metric: vitalops_consultation_join_duration_seconds}",
            "histogram: {metric: vitalops_call_streams_total}",
            "/slis/joined-in-time/histogram/metric",
            "no histogram",
            "http_server",
        ),
        (
            "histogram: {metric: vitalops_consultation_join_duration_seconds}",
            "histogram: {metric: vitalops_call_mos}",
            "/slis/joined-in-time/histogram/metric",
            "not in seconds",
            "durations",
        ),
        (
            "threshold_ms: 500",
            "threshold_ms: 400",
            "/slis/prompt/threshold_ms",
            "ends at 400 ms",
            "250, 500, 750",
        ),
        ("answered: 0.999,", "answered: 99.9,", "/tiers/critical/objectives/answered", "percentage", "0.999"),
        (
            "answered: 0.999,",
            "answered: 99.95%,",
            "/tiers/critical/objectives/answered",
            "percentage",
            "0.9995",
        ),
        (
            "answered: 0.999,",
            "answered: 1,",
            "/tiers/critical/objectives/answered",
            "no error budget",
            "0.999",
        ),
        (
            "answered: 0.999,",
            "answered: 1.0,",
            "/tiers/critical/objectives/answered",
            "no error budget",
            "0.999",
        ),
        (
            "answered: 0.999,",
            "answered: 100,",
            "/tiers/critical/objectives/answered",
            "no error budget",
            "0.999",
        ),
        (
            "answered: 0.999,",
            "answered: 0,",
            "/tiers/critical/objectives/answered",
            "cannot be 0",
            "between 0 and 1",
        ),
        (
            "retention_days: 35",
            "retention_days: 20",
            "/tiers/critical/window_days",
            "30 days cannot be worked out from metrics kept for 20",
            "31",
        ),
        ("retention_days: 35", "retention_days: 2", "/telemetry/retention_days", "look back 3d", "3 days"),
    ],
)
def test_each_fault_is_found(
    bundled: Text, old: str, new: str, pointer: str, problem: str, hint: str
) -> None:
    fault = next(fault for fault in bundled.edit(old, new).faults() if fault.pointer == pointer)
    assert problem in fault.problem
    assert hint in fault.hint


def test_a_service_may_export_what_its_objectives_are_measured_by(bundled: Text) -> None:
    text = bundled.edit("{metric: vitalops_call_streams_total}", "{metric: our_streams_total}")
    assert text.fault().pointer == "/slis/media-quality/streams/metric"
    assert text.edit("uses_media: true", "uses_media: true\n    exports: [our_streams_total]").load()


def test_a_histogram_of_our_own_may_have_any_bound(bundled: Text) -> None:
    text = bundled.edit("{metric: vitalops_consultation_join_duration_seconds}", "{metric: our_wait_seconds}")
    text = text.edit("threshold_ms: 3000", "threshold_ms: 1234")
    assert text.edit("uses_media: true", "uses_media: true\n    exports: [our_wait_seconds]").load()


def test_two_objectives_cannot_have_one_name(bundled: Text) -> None:
    """SERVICE-SLI: of `a` and `b-c`, and of `a-b` and `c`."""
    text = bundled.edit("  consultation-completed:\n", "  media-quality-answered:\n", 1)
    text = text.edit("consultation-completed: 0.99", "media-quality-answered: 0.99")
    service = (
        "  consultation-media-quality:\n    layer: system\n    data_class: technical\n"
        "    resources: {cpu: 50m, memory: 64Mi}\n    tier: supporting\n"
    )
    fault = Text(text.content.rstrip() + "\n" + service).fault()
    assert fault.pointer == "/services/consultation-media-quality"
    assert "consultation-media-quality-answered" in fault.problem


@pytest.mark.parametrize(
    ("start", "end", "more", "pointer", "problem"),
    [
        ("2026-12-01T22:00:00Z", "2026-12-01T21:00:00Z", "", "/planned_work/0/end", "ends before it starts"),
        (
            "2026-12-01T22:00:00Z",
            "2026-12-01T23:00:00+01:00",
            "",
            "/planned_work/0/end",
            "ends before it starts",
        ),
        ("2026-12-01T22:00:00Z", "2026-12-01T23:00:00", "", "/planned_work/0/end", "how far it is from UTC"),
        (
            "2026-12-01T22:00:00",
            "2026-12-01T23:00:00Z",
            "",
            "/planned_work/0/start",
            "how far it is from UTC",
        ),
        ("2026-12-01T22:00:00Z", "2026-12-09T22:00:00Z", "", "/planned_work/0/end", "longer than 7 days"),
        ("2026-12-01T22:00:00Z", "tomorrow", "", "/planned_work/0/end", "cannot be 'tomorrow'"),
        (
            "2026-12-01T22:00:00Z",
            "2026-12-02T22:00:00Z",
            ", regions: [fr-pra]",
            "/planned_work/0/regions/0",
            "no region",
        ),
        (
            "2026-12-01T22:00:00Z",
            "2026-12-02T22:00:00Z",
            ", services: [x]",
            "/planned_work/0/services/0",
            "no service",
        ),
        (
            "2026-12-01T22:00:00Z",
            "2026-12-02T22:00:00Z",
            ", services: []",
            "/planned_work/0/services",
            "nothing",
        ),
        (
            "2026-12-01T22:00:00Z",
            "2026-12-02T22:00:00Z",
            ", regions: [fr-par, fr-par]",
            "/planned_work/0/regions/1",
            "twice",
        ),
    ],
)
def test_planned_work_must_be_a_time_and_a_place(
    bundled: Text, start: str, end: str, more: str, pointer: str, problem: str
) -> None:
    fault = planned(bundled, start, end, more).fault()
    assert fault.pointer == pointer
    assert problem in fault.problem
    assert fault.hint


def test_planned_work_of_seven_days_in_two_offsets_is_sound(bundled: Text) -> None:
    loaded = planned(
        bundled, "2026-12-01T22:00:00Z", "2026-12-08T23:00:00+01:00", ", regions: [fr-par]"
    ).load()
    assert loaded.platform.planned_work[0].regions == ("fr-par",)


def test_webhooks_have_names_of_their_own(bundled: Text) -> None:
    hooks = "\nalerting:\n  webhooks:\n" + 2 * "    - {name: pager, url: 'https://example.org/hook'}\n"
    fault = Text(bundled.content + hooks).fault()
    assert fault.pointer == "/alerting/webhooks/1/name"


def test_faults_of_several_parts_are_reported_at_once(bundled: Text) -> None:
    text = bundled.edit("answered: 0.999,", "answered: 99.9,").edit("threshold_ms: 500", "threshold_ms: 400")
    text = planned(text.edit(SIGNED, ""), "2026-12-01T22:00:00", "2026-12-01T21:00:00Z")
    assert [fault.pointer for fault in text.faults()] == [
        "/slis/prompt/threshold_ms",
        "/slis/prescription-signed",
        "/tiers/critical/objectives/answered",
        "/planned_work/0/start",
    ]


def test_what_may_not_be_meant_is_a_warning(bundled: Text) -> None:
    def said(text: Text) -> list[tuple[str, str]]:
        return [(warning.pointer, warning.problem) for warning in text.load().warnings]

    assert said(bundled) == []
    off = bundled.edit("prober: {interval_seconds: 60}", "prober: {enabled: false}")
    assert said(off) == [("/slis/synthetic-consultation", "the prober measures it, and is switched off")]
    unused = bundled.edit(", media-quality: 0.95", "")
    assert said(unused) == [("/slis/media-quality", "no tier or service has an objective for it")]
    low = bundled.edit("{answered: 0.995, prompt: 0.98}", "{answered: 0.8, prompt: 0.98}")
    assert [pointer for pointer, _ in said(low)] == ["/tiers/standard/objectives/answered"]
