"""What a payment may do next, and what may never reach this service: card numbers.

authorised -> captured -> refunded
    |            (partial refunds stay captured until all is paid back)
    +-> cancelled
failed (declined at authorisation: final)
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, cast

from services.payment.money import Money


class Status(StrEnum):
    AUTHORISED = "authorised"
    CAPTURED = "captured"
    REFUNDED = "refunded"
    CANCELLED = "cancelled"
    FAILED = "failed"


class PaymentRefused(Exception):
    """A step the payment's present state does not allow. The message is fit for the caller."""


@dataclass(frozen=True, slots=True)
class Payment:
    """The money side of a payment. `refunded` never exceeds `amount`."""

    amount: Money
    status: Status
    refunded: Money

    @classmethod
    def authorised(cls, amount: Money) -> Payment:
        if amount.minor == 0:
            raise PaymentRefused("a payment of nothing is not a payment")
        return cls(amount, Status.AUTHORISED, Money(0, amount.currency))

    def failed(self) -> Payment:
        self._expect(Status.AUTHORISED, "fail")
        return replace(self, status=Status.FAILED)

    def captured(self) -> Payment:
        self._expect(Status.AUTHORISED, "be captured")
        return replace(self, status=Status.CAPTURED)

    def cancelled(self) -> Payment:
        self._expect(Status.AUTHORISED, "be cancelled; refund a captured one")
        return replace(self, status=Status.CANCELLED)

    def refund(self, amount: Money) -> Payment:
        """Pay back `amount`; raise PaymentRefused when more than what is left would be paid back."""
        self._expect(Status.CAPTURED, "be refunded")
        if amount.currency != self.amount.currency:
            raise PaymentRefused(f"a refund is in the payment's currency, {self.amount.currency}")
        left = self.amount - self.refunded
        if not 0 < amount.minor <= left.minor:
            raise PaymentRefused(f"a refund is more than nothing and at most what is left, {left}")
        refunded = self.refunded + amount
        status = Status.REFUNDED if refunded == self.amount else Status.CAPTURED
        return replace(self, refunded=refunded, status=status)

    def _expect(self, status: Status, action: str) -> None:
        if self.status is not status:
            raise PaymentRefused(f"a payment that is {self.status} cannot {action}")


# Digits with the separators people type. 12 to 19 digits are the lengths of card numbers (ISO/IEC 7812-1).
_CARD: Final = re.compile(r"(?<!\d)\d(?:[ .\-]?\d){11,18}(?!\d)")
# About one random UUID in 250 would pass for a card number.
_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def _luhn(digits: str) -> bool:
    """The check digit of ISO/IEC 7812-1 annex B."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if place % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def holds_card_number(value: object) -> bool:
    """Whether a string or whole number anywhere in `value` (keys included) looks like a card number."""
    match value:
        case str():
            return not _UUID.fullmatch(value) and any(
                _luhn(re.sub(r"\D", "", found.group())) for found in _CARD.finditer(value)
            )
        case bool():
            return False
        case int():
            return holds_card_number(str(abs(value)))
        case Mapping():
            value = cast("Mapping[object, object]", value)
            return any(holds_card_number(key) or holds_card_number(item) for key, item in value.items())
        case Sequence():
            value = cast("Sequence[object]", value)
            return any(holds_card_number(item) for item in value)
        case _:
            return False


TARIFFS: Final[dict[str, Money]] = {"EUR": Money(2500, "EUR"), "CHF": Money(6000, "CHF")}
"""Price of one teleconsultation, by currency."""


def check_price(amount: Money) -> None:
    """Raise PaymentRefused unless `amount` is what a consultation costs."""
    price = TARIFFS.get(amount.currency)
    if price is None:
        raise PaymentRefused(f"a consultation is paid in one of: {', '.join(TARIFFS)}")
    if amount != price:
        raise PaymentRefused(f"a consultation costs {price}")


def invoice_number(year: int, sequence: int) -> str:
    """The number printed on an invoice: a year and a sequence without gaps (French CGI annex II, art. 242 nonies A)."""
    if sequence < 1:
        raise ValueError("invoice sequences start at 1")
    return f"{year}-{sequence:06d}"
