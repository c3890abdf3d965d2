"""What a patient sees and hears: consultations, joining, media, calls' quality."""

from __future__ import annotations

from dashboards import names
from dashboards.kit import (
    IN_REGION,
    OF_TRAFFIC,
    REGION,
    TRAFFIC,
    WINDOW,
    increase,
    mean,
    quantile,
    rate,
    series,
    share,
    total,
)
from dashboards.model import Colour, Dashboard, Line, Look, Panel, Query, Section, Unit
from dashboards.objectives import limits_of
from dashboards.queries import MEDIA_TRAFFIC, ROOMS_AND_PARTICIPANTS
from vitalops.consultation import limits
from vitalops.model.platform import Platform

_OF = (IN_REGION, OF_TRAFFIC)
_LONG = "$window"


def consultation_quality_dashboard(platform: Platform) -> Dashboard:
    return Dashboard(
        "consultation-quality",
        "Consultations and video quality",
        "From the patient's side: do consultations come about, how long is the wait, how does the call sound.",
        (_consultations(), _waiting(platform), _quality(), _clinical(), _media()),
        (REGION, TRAFFIC, WINDOW),
        span="now-6h",
    )


def _consultations() -> Section:
    ended = total(increase(names.CONSULTATIONS_ENDED, *_OF, window=_LONG), "outcome")
    every = total(increase(names.CONSULTATIONS_ENDED, *_OF, 'outcome!="cancelled"', window=_LONG))
    completed = total(increase(names.CONSULTATIONS_ENDED, *_OF, 'outcome="completed"', window=_LONG))
    return Section(
        "Consultations",
        (
            Panel(
                "In progress",
                "Consultations that have not ended, by state. Many waiting and few in call: practitioners are missing,"
                " or joining fails.",
                Unit.COUNT,
                (Query(total(series(names.CONSULTATIONS, IN_REGION), "state"), "{{state}}"),),
                Look.STACKED,
                low=0,
            ),
            Panel(
                "Ended, by outcome",
                "Completed is good. Dropped: the connection was lost. Missed: somebody never came.",
                Unit.COUNT,
                (Query(ended, "{{outcome}}"),),
                low=0,
            ),
            Panel(
                "Completed",
                "Share of consultations that ended as they should, cancelled ones left out.",
                Unit.SHARE,
                (Query(share(completed, every), "completed", Colour.GOOD),),
                low=0,
                high=1,
            ),
        ),
    )


def _waiting(platform: Platform) -> Section:
    def percentiles(title: str, tells: str, histogram: str, by: str = "") -> Panel:
        label = f" {{{{{by}}}}}" if by else ""
        grouped = (by,) if by else ()
        return Panel(
            title,
            tells,
            Unit.SECONDS,
            tuple(
                Query(quantile(q, histogram, *_OF, by=grouped, window=_LONG), f"p{100 * q:g}{label}")
                for q in (0.5, 0.95)
            ),
            lines=limits_of(platform, histogram),
            width=12,
            low=0,
        )

    return Section(
        "Waiting",
        (
            percentiles(
                "Joining",
                "From the join token to being in the room. The line is the platform's own limit.",
                names.JOIN_SECONDS,
                "party",
            ),
            percentiles(
                "Media both ways",
                "From both being in the room to both sending. Slow: media ports or the media server.",
                names.MEDIA_SECONDS,
            ),
        ),
    )


def _quality() -> Section:
    streams = total(increase(names.CALL_STREAMS, *_OF, window=_LONG), "state", "media")
    judged = total(increase(names.CALL_STREAMS, *_OF, 'state=~"good|poor"', window=_LONG), "media")
    poor = total(increase(names.CALL_STREAMS, *_OF, 'state="poor"', window=_LONG), "media")

    def distribution(
        title: str, tells: str, unit: Unit, histogram: str, q: float, lines: tuple[Line, ...], below: Colour
    ) -> Panel:
        return Panel(
            title,
            tells,
            unit,
            (
                Query(
                    quantile(q, histogram, *_OF, by=("media",), window=_LONG), f"p{100 * q:g} {{{{media}}}}"
                ),
                Query(mean(histogram, *_OF, by=("media",), window=_LONG), "mean {{media}}"),
            ),
            lines=lines,
            below=below,
            low=0,
        )

    return Section(
        "Quality of calls",
        (
            Panel(
                "Streams by state",
                "As Microsoft Teams classifies them: good, poor, or unclassified where too little was received.",
                Unit.COUNT,
                (Query(streams, "{{media}} {{state}}"),),
                low=0,
            ),
            Panel(
                "Poor streams",
                "Share of the streams that could be judged.",
                Unit.SHARE,
                (Query(share(poor, judged), "{{media}}", Colour.BAD),),
                low=0,
                high=1,
            ),
            distribution(
                "Voice, mean opinion score",
                "From 1 (bad) to 4.5, by the simplified E-model of ITU-T G.107; p5 is what the unlucky hear.",
                Unit.MOS,
                names.CALL_MOS,
                0.05,
                (Line(limits.GOOD_MOS, Colour.GOOD),),
                Colour.BAD,
            ),
            distribution(
                "Round trip",
                "Between people and the media server. Above the first line they talk over one another; above the"
                " second Teams calls a stream poor.",
                Unit.SECONDS,
                names.CALL_RTT,
                0.95,
                (Line(limits.GOOD_RTT_SECONDS, Colour.WARNING), Line(limits.POOR_RTT_SECONDS, Colour.BAD)),
                Colour.GOOD,
            ),
            distribution(
                "Jitter",
                "Variation of packets' arrival: above the line voices break up.",
                Unit.SECONDS,
                names.CALL_JITTER,
                0.95,
                (Line(limits.GOOD_JITTER_SECONDS, Colour.BAD),),
                Colour.GOOD,
            ),
            distribution(
                "Lost packets",
                "Share lost on the way. The lines: a clean network, a bad one, poor to Teams.",
                Unit.SHARE,
                names.CALL_LOSS,
                0.95,
                (
                    Line(limits.GOOD_LOSS_RATIO, Colour.QUIET),
                    Line(limits.IMPAIRED_LOSS_RATIO, Colour.WARNING),
                    Line(limits.POOR_LOSS_RATIO, Colour.BAD),
                ),
                Colour.GOOD,
            ),
            distribution(
                "Frozen picture",
                "Share of the time that the picture stood still.",
                Unit.SHARE,
                names.CALL_FREEZE,
                0.95,
                (Line(limits.GOOD_FREEZE_RATIO, Colour.BAD),),
                Colour.GOOD,
            ),
        ),
    )


def _clinical() -> Section:
    return Section(
        "Around the call",
        (
            Panel(
                "Prescriptions signed",
                "Signatures asked for, by outcome. Failed ones keep a patient from their medicine.",
                Unit.COUNT,
                (Query(total(increase(names.SIGNATURES, *_OF, window=_LONG), "outcome"), "{{outcome}}"),),
                low=0,
            ),
            Panel(
                "Alerts of remote monitors",
                "By outcome. Late or failed: a practitioner does not know how their patient is.",
                Unit.COUNT,
                (Query(total(increase(names.MONITOR_ALERTS, *_OF, window=_LONG), "outcome"), "{{outcome}}"),),
                low=0,
            ),
            Panel(
                "Delivery of monitors' alerts",
                "From the alert to the practitioner's being told.",
                Unit.SECONDS,
                tuple(
                    Query(quantile(q, names.MONITOR_DELIVERY, *_OF, window=_LONG), f"p{100 * q:g}")
                    for q in (0.5, 0.95)
                ),
                low=0,
            ),
        ),
    )


def _media() -> Section:
    def seen(title: str, tells: str, unit: Unit, histogram: str, lines: tuple[Line, ...], *by: str) -> Panel:
        query = quantile(0.95, histogram, IN_REGION, by=by, window=_LONG)
        legend = " ".join(f"{{{{{label}}}}}" for label in by)
        return Panel(title, tells, unit, (Query(query, f"p95 {legend}".strip()),), lines=lines, low=0)

    def scaled(factor: float, *values: float) -> tuple[Line, ...]:
        return tuple(Line(factor * value, Colour.BAD) for value in values)

    return Section(
        "What the media server sees",
        (
            Panel(
                "Rooms and participants",
                "Calls on the region's LiveKit now.",
                Unit.COUNT,
                ROOMS_AND_PARTICIPANTS,
                low=0,
            ),
            Panel(
                "Media traffic",
                "Bits a second, by direction.",
                Unit.BITS_PER_SECOND,
                (MEDIA_TRAFFIC,),
                low=0,
            ),
            Panel(
                "Asked for again",
                "Key frames (PLI) and packets (NACK) that receivers asked for again: loss, as it hurts.",
                Unit.PER_SECOND,
                (
                    Query(total(rate(names.MEDIA_PLIS, IN_REGION)), "key frames", Colour.WARNING),
                    Query(
                        total(rate(names.MEDIA_NACKS, IN_REGION)),
                        "packets",
                        Colour.BAD,
                        may_be_empty="LiveKit counts them from the first lost packet on",
                    ),
                ),
                low=0,
            ),
            seen(
                "Loss at the server",
                "Loss of what arrives at and leaves the media server. High here and in calls: the region's network;"
                " high in calls alone: people's own.",
                Unit.PERCENT,
                names.MEDIA_LOSS_PERCENT,
                scaled(100, limits.IMPAIRED_LOSS_RATIO),
                "direction",
                "type",
            ),
            seen(
                "Jitter at the server",
                "Variation of packets' arrival.",
                Unit.MICROSECONDS,
                names.MEDIA_JITTER_US,
                scaled(1e6, limits.GOOD_JITTER_SECONDS),
                "direction",
                "type",
            ),
            seen(
                "Round trip to people",
                "As the media server measures it.",
                Unit.MILLISECONDS,
                names.MEDIA_RTT_MS,
                scaled(1e3, limits.GOOD_RTT_SECONDS),
            ),
            seen(
                "Joining, the server's part",
                "How long LiveKit itself takes to let somebody in. Short here and long above: signalling or the way"
                " there.",
                Unit.MILLISECONDS,
                names.MEDIA_JOIN_MS,
                (),
            ),
        ),
    )
