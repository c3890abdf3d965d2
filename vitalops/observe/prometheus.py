"""A region's Prometheus through prometheus-api-client: the one module that imports it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, cast

from vitalops.errors import RemoteError, UsageError
from vitalops.imports import one_thread_imports
from vitalops.observe.http import CONNECT_SECONDS, refusing, unreachable
from vitalops.ports.metrics import Sample, Series

if TYPE_CHECKING:
    import requests

WHAT: Final = "Prometheus"
_SECOND: Final = timedelta(seconds=1)
MOST_POINTS: Final = 11_000
"""Prometheus refuses a range query of more points for each series: web/api/v1/api.go of Prometheus."""


class PrometheusMetrics:
    """`MetricsSource` over HTTP. Safe to use from several threads."""

    def __init__(self, name: str, base_url: str, session: requests.Session, *, timeout: float = 30.0) -> None:
        with one_thread_imports():
            from prometheus_api_client.prometheus_connect import PrometheusConnect
            from urllib3.util.retry import Retry

        self._name = name
        session.hooks["response"].append(refusing(name, WHAT))
        # The library puts an adapter of its own in front of the session's, which knows how the server is called.
        adapter = session.get_adapter(base_url)
        self._connect: Any = PrometheusConnect(
            url=base_url,
            session=session,
            retry=Retry(total=0),
            timeout=cast(Any, (CONNECT_SECONDS, timeout)),
        )
        session.mount(base_url, adapter)

    @property
    def name(self) -> str:
        return self._name

    def instant(self, query: str, at: datetime | None = None) -> tuple[Sample, ...]:
        """The query's value at one moment; values that are no number (0/0) are kept as NaN."""
        params = {"time": f"{at.timestamp():.3f}"} if at else {}
        found = self._ask(lambda: self._connect.custom_query(query, params=params))
        if _is_scalar(found):
            return (Sample({}, float(found[1]), _time(found[0])),)
        if any("value" not in item for item in found):
            raise UsageError(f"{query!r} gives ranges, not values", hint="ask for a range instead")
        return tuple(
            Sample(item["metric"], float(item["value"][1]), _time(item["value"][0])) for item in found
        )

    def range(self, query: str, start: datetime, end: datetime, step: timedelta) -> tuple[Series, ...]:
        """Values every `step` from `start` to `end`, both in whole seconds. What Prometheus would refuse for its
        length is asked in pieces."""
        if step < _SECOND or step % _SECOND or end < start:
            raise UsageError(f"no range in whole seconds: {start} to {end} every {step}")
        width = step * (MOST_POINTS - 1)
        joined: dict[tuple[tuple[str, str], ...], list[tuple[datetime, float]]] = {}
        begin = start.replace(microsecond=0)
        while begin <= end:
            until = min(begin + width, end)
            for item in self._piece(query, begin, until, step):
                key = tuple(sorted(item["metric"].items()))
                points = joined.setdefault(key, [])
                points += [(_time(moment), float(value)) for moment, value in item["values"]]
            # The last point of this piece is at or before `until`; the next one is the first of the next piece.
            begin += step * ((until - begin) // step + 1)
        return tuple(Series(dict(key), tuple(points)) for key, points in joined.items())

    def _piece(self, query: str, start: datetime, end: datetime, step: timedelta) -> Sequence[dict[str, Any]]:
        seconds = f"{step.total_seconds():.0f}"
        return self._ask(lambda: self._connect.custom_query_range(query, start, end, seconds))

    def _ask(self, call: Any) -> Any:
        import requests
        from prometheus_api_client.exceptions import PrometheusApiClientException

        try:
            return call()
        except requests.exceptions.JSONDecodeError as error:
            raise RemoteError(
                f"region {self._name}: {WHAT} answered with something that is no JSON"
            ) from error
        except requests.RequestException as error:
            raise unreachable(self._name, WHAT, error) from error
        except (PrometheusApiClientException, KeyError) as error:
            raise RemoteError(f"region {self._name}: {WHAT} gave no result ({error})") from error


def _is_scalar(found: Any) -> bool:
    return len(found) == 2 and isinstance(found[1], str)


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(float(seconds), UTC)
