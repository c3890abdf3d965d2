"""What Alertmanager posts to a webhook (version 4 of its JSON), read with suspicion. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, cast

LONGEST_VALUE: Final = 1000
"""Characters of a label or annotation; the rest is left out."""
MOST_LABELS: Final = 64
_FINGERPRINT: Final = re.compile(r"[0-9a-f]{1,64}")
_NAME: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]{0,127}")


class Malformed(ValueError):
    """One line that says what is wrong; it holds nothing of what was sent but names of fields."""


@dataclass(frozen=True, slots=True)
class Notice:
    """One alert of one message. `ended` is when it was resolved, None while it fires."""

    fingerprint: str
    started: datetime
    ended: datetime | None
    labels: Mapping[str, str]
    summary: str

    @property
    def key(self) -> str:
        """Of the incident: Alertmanager repeats itself, and several of them may say the same."""
        return f"{self.fingerprint}/{self.started.isoformat()}"

    @property
    def name(self) -> str:
        return self.labels["alertname"]


def read_message(body: bytes) -> tuple[Notice, ...]:
    """Raises Malformed."""
    try:
        document: Any = json.loads(body)
    except (ValueError, RecursionError):
        raise Malformed("the body is not JSON") from None
    message = _mapping(document, "the body")
    if message.get("version") != "4":
        raise Malformed('version is not "4", which is what Alertmanager sends')
    alerts = message.get("alerts")
    if not isinstance(alerts, list):
        raise Malformed("alerts is not a list")
    return tuple(_alert(each, f"alerts[{index}]") for index, each in enumerate(cast(list[Any], alerts)))


def _alert(value: object, where: str) -> Notice:
    alert = _mapping(value, where)
    fingerprint = alert.get("fingerprint")
    if not isinstance(fingerprint, str) or not _FINGERPRINT.fullmatch(fingerprint):
        raise Malformed(f"{where}.fingerprint is none")
    status = alert.get("status")
    if status not in ("firing", "resolved"):
        raise Malformed(f"{where}.status is neither firing nor resolved")
    labels = _texts(alert.get("labels"), f"{where}.labels")
    if not labels.get("alertname"):
        raise Malformed(f"{where}.labels has no alertname")
    started = _moment(alert.get("startsAt"), f"{where}.startsAt")
    ended = _moment(alert.get("endsAt"), f"{where}.endsAt") if status == "resolved" else None
    annotations = _texts(alert.get("annotations") or {}, f"{where}.annotations")
    return Notice(fingerprint, started, ended, labels, annotations.get("summary", ""))


def _mapping(value: object, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise Malformed(f"{where} is not an object")
    return cast(dict[str, Any], value)


def _texts(value: object, where: str) -> Mapping[str, str]:
    found = _mapping(value, where)
    if len(found) > MOST_LABELS:
        raise Malformed(f"{where} has more than {MOST_LABELS} fields")
    for name, text in found.items():
        if not isinstance(text, str) or not _NAME.fullmatch(name):
            raise Malformed(f"{where} has a field that is no label")
    return {name: _plain(text) for name, text in found.items()}


def _plain(text: str) -> str:
    """Without what no database, terminal or page should get, surrogates without a partner included."""
    kept = "".join(each if each.isprintable() or each == "\n" else "\ufffd" for each in text[:LONGEST_VALUE])
    return kept.encode("utf-8", "replace").decode("utf-8")


def _moment(value: object, where: str) -> datetime:
    try:
        moment = datetime.fromisoformat(value if isinstance(value, str) else "")
        if moment.tzinfo is None:
            raise ValueError("no time zone")
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise Malformed(f"{where} is no time") from None
