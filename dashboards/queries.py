"""Questions that several dashboards ask of a region, in the same words."""

from __future__ import annotations

from typing import Final

from dashboards import names
from dashboards.kit import IN_REGION, rate, series, total
from dashboards.model import Colour, Query
from vitalops import conventions as c

CONNECTIONS_IN_USE: Final = Query(
    total(
        series(names.DATABASE_CONNECTIONS, IN_REGION, 'db_client_connection_state="used"'), c.METRIC_SERVICE
    ),
    "{{service}}",
)
ROOMS_AND_PARTICIPANTS: Final = (
    Query(total(series(names.MEDIA_ROOMS, IN_REGION)), "rooms", Colour.NEUTRAL),
    Query(total(series(names.MEDIA_PARTICIPANTS, IN_REGION)), "participants", Colour.GOOD),
)
MEDIA_TRAFFIC: Final = Query(f"8 * {total(rate(names.MEDIA_BYTES, IN_REGION), 'direction')}", "{{direction}}")
