"""What consultations are measured by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import product
from typing import Final

from services.common import metric_names as names
from services.common.telemetry import Telemetry
from services.common.traffic import TRAFFIC, label
from services.consultation.quality import Judged, Media, StreamState
from services.consultation.rules import OUTCOMES, Party, State

# Seconds. 3 s is the bundled gate on joining, 5 s that on media; a waiting patient has given up long before a minute.
JOIN_BOUNDS: Final = (0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 60.0)
# Bounds of quality include where Teams and Twilio draw their lines (1, 3, 10 %; 30 ms; 300, 400, 500 ms; MOS 3.5).
RATIO_BOUNDS: Final = (0.0, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.15, 0.25, 0.5)
JITTER_BOUNDS: Final = (0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.25)
RTT_BOUNDS: Final = (0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 1.0)
MOS_BOUNDS: Final = (1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.1, 4.2, 4.3, 4.4)


class ConsultationMetrics:
    """The instruments of this service. Every series exists at 0 from the start; none names anybody."""

    def __init__(self, telemetry: Telemetry) -> None:
        media, traffic = names.LABEL_MEDIA, names.LABEL_TRAFFIC
        self._join = telemetry.histogram(
            names.CONSULTATION_JOIN,
            "From the join token to the party being in the room",
            (names.LABEL_PARTY, traffic),
            JOIN_BOUNDS,
            product(Party, TRAFFIC),
        )
        self._media = telemetry.histogram(
            names.CONSULTATION_MEDIA,
            "From both parties being in the room to both publishing media",
            (traffic,),
            JOIN_BOUNDS,
            product(TRAFFIC),
        )
        self._ended = telemetry.counter(
            names.CONSULTATIONS_ENDED,
            "Consultations that ended, by outcome",
            (names.LABEL_OUTCOME, traffic),
            product(sorted(OUTCOMES), TRAFFIC),
        )
        self._streams = telemetry.counter(
            names.CALL_STREAMS,
            "Streams that their receivers reported on, by the quality they arrived in",
            (names.LABEL_STATE, media, traffic),
            product(StreamState, Media, TRAFFIC),
        )
        both, kinds = (media, traffic), tuple(product(Media, TRAFFIC))
        self._loss = telemetry.histogram(
            names.CALL_LOSS, "Share of a stream's packets that did not arrive", both, RATIO_BOUNDS, kinds
        )
        self._jitter = telemetry.histogram(
            names.CALL_JITTER, "Jitter of a stream's packets", both, JITTER_BOUNDS, kinds
        )
        self._rtt = telemetry.histogram(
            names.CALL_RTT, "Round trip of a receiver to the media server", both, RTT_BOUNDS, kinds
        )
        self._mos = telemetry.histogram(
            names.CALL_MOS, "Mean opinion score of a voice, 1 to 5", both, MOS_BOUNDS,
            product((Media.AUDIO,), TRAFFIC),
        )  # fmt: skip
        self._freeze = telemetry.histogram(
            names.CALL_FREEZE, "Share of a video's time in which it stood still", both, RATIO_BOUNDS,
            product((Media.VIDEO,), TRAFFIC),
        )  # fmt: skip
        self._by_state: Mapping[str, int] = {}
        telemetry.observe_gauge(
            names.CONSULTATIONS,
            "Consultations that have not ended, by state",
            (names.LABEL_STATE,),
            self._read_states,
        )

    def joined(self, party: Party, seconds: float, *, synthetic: bool) -> None:
        """A party came into the room for the first time."""
        self._join.labels(party, label(synthetic)).observe(seconds)

    def media(self, seconds: float, *, synthetic: bool) -> None:
        """Media flowed both ways for the first time."""
        self._media.labels(label(synthetic)).observe(seconds)

    def ended(self, outcome: State, *, synthetic: bool) -> None:
        """A consultation ended."""
        self._ended.labels(outcome, label(synthetic)).inc()

    def received(self, stream: Judged, *, synthetic: bool) -> None:
        """A party reported on a stream. What is too little to judge is counted, and not measured."""
        kind = (stream.media, label(synthetic))
        self._streams.labels(stream.state, *kind).inc()
        if stream.state is StreamState.UNCLASSIFIED:
            return
        self._loss.labels(*kind).observe(stream.loss_ratio)
        self._jitter.labels(*kind).observe(stream.jitter_seconds)
        self._rtt.labels(*kind).observe(stream.rtt_seconds)
        if stream.mos is not None:
            self._mos.labels(*kind).observe(stream.mos)
        if stream.freeze_ratio is not None:
            self._freeze.labels(*kind).observe(stream.freeze_ratio)

    def count(self, by_state: Mapping[str, int]) -> None:
        """Consultations that have not ended, by state; what is not named is none."""
        self._by_state = by_state

    def _read_states(self) -> Iterable[tuple[float, dict[str, str]]]:
        for state in (State.BOOKED, State.WAITING, State.JOINED, State.IN_CALL, State.DROPPED):
            yield self._by_state.get(state, 0), {names.LABEL_STATE: state}
