"""What consultations are measured by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from services.common import metric_names as names
from services.common.telemetry import Telemetry
from services.consultation.rules import Party, State

# Seconds. 3 s is the bundled gate on joining; a waiting patient has given up long before a minute.
_BOUNDS = (0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 60.0)


class ConsultationMetrics:
    """The instruments of this service."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._join = telemetry.meter.create_histogram(
            names.OTEL_CONSULTATION_JOIN,
            unit="s",
            description="From the join token to the party being in the room",
            explicit_bucket_boundaries_advisory=_BOUNDS,
        )
        self._media = telemetry.meter.create_histogram(
            names.OTEL_CONSULTATION_MEDIA,
            unit="s",
            description="From both parties being in the room to both publishing media",
            explicit_bucket_boundaries_advisory=_BOUNDS,
        )
        self._ended = telemetry.meter.create_counter(
            names.OTEL_CONSULTATIONS_ENDED,
            unit="{consultation}",
            description="Consultations that ended, by outcome",
        )
        self._by_state: Mapping[str, int] = {}
        telemetry.observe_gauge(names.OTEL_CONSULTATIONS, "{consultation}", self._read_states)

    def joined(self, party: Party, seconds: float) -> None:
        """A party came into the room for the first time."""
        self._join.record(seconds, {"party": party})

    def media(self, seconds: float) -> None:
        """Media flowed both ways for the first time."""
        self._media.record(seconds)

    def ended(self, outcome: State) -> None:
        """A consultation ended."""
        self._ended.add(1, {"outcome": outcome})

    def count(self, by_state: Mapping[str, int]) -> None:
        """Consultations that have not ended, by state; what is not named is none."""
        self._by_state = by_state

    def _read_states(self) -> Iterable[tuple[float, dict[str, str]]]:
        for state in (State.BOOKED, State.WAITING, State.JOINED, State.IN_CALL, State.DROPPED):
            yield self._by_state.get(state, 0), {"state": state}
