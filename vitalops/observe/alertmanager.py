"""A region's Alertmanager, through its API v2."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from vitalops.errors import RemoteError
from vitalops.observe.http import get_json
from vitalops.ports.metrics import FiringAlert

if TYPE_CHECKING:
    import requests

WHAT: Final = "Alertmanager"


class AlertmanagerAlerts:
    """`AlertSource` over HTTP."""

    def __init__(self, name: str, base_url: str, session: requests.Session, *, timeout: float = 10.0) -> None:
        self._name = name
        self._url = f"{base_url}/api/v2/alerts"
        self._session = session
        self._timeout = timeout

    @property
    def name(self) -> str:
        return self._name

    def alerts(self) -> tuple[FiringAlert, ...]:
        """All that have not ended, silenced and inhibited ones too, oldest first."""
        found = get_json(self._session, self._url, region=self._name, what=WHAT, timeout=self._timeout)
        try:
            return tuple(sorted(map(_alert, found), key=lambda alert: (alert.started, alert.fingerprint)))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise RemoteError(
                f"region {self._name}: {WHAT} shows alerts that cannot be read: {error}"
            ) from error


def _alert(item: dict[str, Any]) -> FiringAlert:
    return FiringAlert(
        labels=dict(item["labels"]),
        annotations=dict(item["annotations"]),
        started=datetime.fromisoformat(item["startsAt"]),
        fingerprint=str(item["fingerprint"]),
        state=str(item["status"]["state"]),
        silenced=bool(item["status"]["silencedBy"]),
    )
