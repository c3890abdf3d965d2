"""The port to a payment provider, and the local provider that stands in for one.

A provider knows cards; this service knows only the tokens the provider's own pages gave the payer. Every call carries
this service's payment id as the provider's idempotency key, so that a call repeated after a crash moves money once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from services.payment.money import Money


class UnknownToken(Exception):
    """The provider does not know the payment token."""


@dataclass(frozen=True, slots=True)
class Authorisation:
    """The provider's answer. `decline_code` is empty when it approved."""

    reference: str
    decline_code: str = ""

    @property
    def approved(self) -> bool:
        return not self.decline_code


class PaymentProvider(Protocol):
    """What this service needs of a provider. Each call is idempotent on `key`."""

    name: str

    def authorise(self, key: str, token: str, amount: Money) -> Authorisation:
        """Reserve `amount`. Raise UnknownToken when the token is not one of the provider's."""
        ...

    def capture(self, key: str, reference: str, amount: Money) -> None: ...

    def cancel(self, key: str, reference: str) -> None: ...

    def refund(self, key: str, reference: str, amount: Money) -> None: ...


LOCAL_TOKENS: Final[dict[str, str]] = {
    "tok_visa": "",
    "tok_mastercard": "",
    "tok_cartes_bancaires": "",
    "tok_declined": "card_declined",
    "tok_insufficient_funds": "insufficient_funds",
    "tok_expired_card": "expired_card",
}
"""Tokens the local provider knows, and the decline code each leads to (empty: approved)."""


class LocalProvider:
    """A provider without money: the answer follows from the token, the reference from the key.

    It holds nothing, so it behaves the same after a restart and in either region.
    """

    name = "local"

    def authorise(self, key: str, token: str, amount: Money) -> Authorisation:
        if token not in LOCAL_TOKENS:
            raise UnknownToken(f"not a token of the local provider; {', '.join(LOCAL_TOKENS)} are")
        return Authorisation(reference=f"local_{key}", decline_code=LOCAL_TOKENS[token])

    def capture(self, key: str, reference: str, amount: Money) -> None:
        return None

    def cancel(self, key: str, reference: str) -> None:
        return None

    def refund(self, key: str, reference: str, amount: Money) -> None:
        return None
