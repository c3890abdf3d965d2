"""Money as whole minor units of one ISO 4217 currency: no floating point anywhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

EXPONENTS: Final[dict[str, int]] = {
    "CHF": 2,
    "EUR": 2,
    "GBP": 2,
    "JPY": 0,
    "TND": 3,
    "USD": 2,
}
"""Digits after the decimal point of each accepted currency (ISO 4217 table A.1)."""

MAX_MINOR: Final = 100_000_000
"""Ceiling of one amount, in minor units: a consultation does not cost a million euros; a typing error may."""


class MoneyError(ValueError):
    """An amount that cannot be. The message is fit for the caller."""


@dataclass(frozen=True, slots=True, order=False)
class Money:
    """`minor` units (cents, centimes, fils) of `currency`. Never negative."""

    minor: int
    currency: str

    def __post_init__(self) -> None:
        if self.currency not in EXPONENTS:
            raise MoneyError(f"currency {self.currency!r} is not accepted; one of {', '.join(EXPONENTS)} is")
        if isinstance(self.minor, bool) or not 0 <= self.minor <= MAX_MINOR:
            raise MoneyError(f"an amount is a whole number of minor units between 0 and {MAX_MINOR}")

    def __add__(self, other: Money) -> Money:
        self._same(other)
        return Money(self.minor + other.minor, self.currency)

    def __sub__(self, other: Money) -> Money:
        """Raise MoneyError when `other` is more than this."""
        self._same(other)
        if other.minor > self.minor:
            raise MoneyError(f"{other} is more than {self}")
        return Money(self.minor - other.minor, self.currency)

    def __str__(self) -> str:
        digits = EXPONENTS[self.currency]
        if not digits:
            return f"{self.minor} {self.currency}"
        whole, part = divmod(self.minor, 10**digits)
        return f"{whole}.{part:0{digits}d} {self.currency}"

    def _same(self, other: Money) -> None:
        if self.currency != other.currency:
            raise MoneyError(f"{self.currency} and {other.currency} do not add up: convert first")
