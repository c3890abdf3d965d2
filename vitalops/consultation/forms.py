"""HTML forms, as much of them as a browser needs to sign somebody in."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

_NOT_SUBMITTED = frozenset({"submit", "button", "reset", "image", "file"})


@dataclass(slots=True)
class Form:
    """One form: where it goes, how, and its fields with the values they start with."""

    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict[str, str])
    types: dict[str, str] = field(default_factory=dict[str, str])

    def field_for(self, *wanted: str) -> str | None:
        """The name of the first field whose type or name is one of `wanted`, in the order wanted."""
        for want in wanted:
            for name, kind in self.types.items():
                if want in (kind, name):
                    return name
        return None


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.forms: list[Form] = []
        self.alerts: list[str] = []
        self._open: Form | None = None
        self._alert_depth = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if self._alert_depth and tag not in ("br", "input", "img"):
            self._alert_depth += 1
        elif given.get("role") == "alert":
            self._alert_depth = 1
            self.alerts.append("")
        if tag == "form":
            self._open = Form(given.get("action", ""), given.get("method", "get").lower())
            self.forms.append(self._open)
        elif tag == "input" and self._open is not None and given.get("name"):
            kind = given.get("type", "text").lower()
            unticked = kind in ("checkbox", "radio") and "checked" not in given
            if kind not in _NOT_SUBMITTED and not unticked:
                self._open.fields[given["name"]] = given.get("value", "")
                self._open.types[given["name"]] = kind

    def handle_endtag(self, tag: str) -> None:
        if self._alert_depth:
            self._alert_depth -= 1
        if tag == "form":
            self._open = None

    def handle_data(self, data: str) -> None:
        if self._alert_depth:
            self.alerts[-1] += data


@dataclass(frozen=True, slots=True)
class Page:
    """A page's forms, and what it shouts at the reader (elements with role="alert")."""

    forms: tuple[Form, ...]
    alerts: tuple[str, ...]


def parse(html: str) -> Page:
    reader = _Reader()
    reader.feed(html)
    reader.close()
    alerts = (" ".join(alert.split()) for alert in reader.alerts)
    return Page(tuple(reader.forms), tuple(alert for alert in alerts if alert))
