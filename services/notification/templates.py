"""The messages the platform sends. A message carries no free text: a template and the few facts it may show.

What a template may show is deliberately little. A reminder on a locked screen must not say with whom or why.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final


class Channel(StrEnum):
    INBOX = "inbox"
    EMAIL = "email"
    SMS = "sms"


class TemplateError(ValueError):
    """A message that no template allows. The message is fit for the caller; it never repeats a parameter's value."""


def _moment(value: str) -> str:
    try:
        moment = datetime.fromisoformat(value)
    except ValueError as error:
        raise TemplateError("not an ISO 8601 date and time") from error
    if moment.tzinfo is None:
        raise TemplateError("a date and time needs its offset from UTC")
    return moment.strftime("%d/%m/%Y %H:%M %Z").strip()


def _matching(pattern: str, what: str) -> Callable[[str], str]:
    compiled = re.compile(pattern)

    def check(value: str) -> str:
        if not compiled.fullmatch(value):
            raise TemplateError(f"not {what}")
        return value

    return check


_amount = _matching(r"\d{1,9}(\.\d{1,3})? [A-Z]{3}", "an amount such as 25.00 EUR")
_invoice = _matching(r"\d{4}-\d{6}", "an invoice number such as 2026-000001")


@dataclass(frozen=True, slots=True)
class Template:
    text: str
    parameters: Mapping[str, Callable[[str], str]]
    """Each parameter's check; it also gives the parameter as the reader sees it."""
    voids: frozenset[str] = frozenset()
    """Templates whose queued messages about the same reference this one makes void."""

    def render(self, parameters: Mapping[str, str]) -> str:
        """The text as sent. Raise TemplateError when a parameter is missing, unknown or malformed."""
        if set(parameters) != set(self.parameters):
            raise TemplateError(
                f"the template takes exactly: {', '.join(sorted(self.parameters)) or 'no parameters'}"
            )
        shown: dict[str, str] = {}
        for name, check in self.parameters.items():
            try:
                shown[name] = check(parameters[name])
            except TemplateError as error:
                raise TemplateError(f"parameter {name}: {error}") from error
        return self.text.format_map(shown)


MONITOR_ALERT: Final = "monitor-alert"

TEMPLATES: Final[dict[str, Template]] = {
    "appointment-booked": Template(
        "Your appointment on {starts_at} is booked. Sign in to see it.", {"starts_at": _moment}
    ),
    "appointment-reminder": Template(
        "You have an appointment on {starts_at}. Sign in a few minutes before.", {"starts_at": _moment}
    ),
    "appointment-cancelled": Template(
        "Your appointment on {starts_at} was cancelled. Sign in to book another.",
        {"starts_at": _moment},
        voids=frozenset({"appointment-reminder"}),
    ),
    "consultation-by-phone": Template(
        "Video is not available now. Your practitioner will telephone you.", {}
    ),
    "payment-receipt": Template(
        "We received {amount}. Invoice {invoice} is in your account.",
        {"amount": _amount, "invoice": _invoice},
    ),
    "payment-refunded": Template(
        "We paid back {amount} on invoice {invoice}.", {"amount": _amount, "invoice": _invoice}
    ),
    "prescription-issued": Template("A prescription is ready. Sign in to see it.", {}),
    # Neither who, nor what was measured, nor how bad it is.
    MONITOR_ALERT: Template(
        "A remote monitor of one of your patients raised an alert. Sign in to see it.", {}
    ),
}


def template(name: str) -> Template:
    """Raise TemplateError when there is none of that name."""
    try:
        return TEMPLATES[name]
    except KeyError:
        raise TemplateError(f"there is no such template; there are {', '.join(TEMPLATES)}") from None
