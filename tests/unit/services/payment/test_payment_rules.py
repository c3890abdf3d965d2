"""Money, the life of a payment, and the refusal of card numbers."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.payment.money import EXPONENTS, MAX_MINOR, Money, MoneyError
from services.payment.rules import Payment, PaymentRefused, Status, holds_card_number, invoice_number

amounts = st.integers(0, MAX_MINOR // 2)
currencies = st.sampled_from(sorted(EXPONENTS))


@given(amounts, amounts, currencies)
def test_sums_and_differences_are_exact(a: int, b: int, currency: str) -> None:
    one, other = Money(a, currency), Money(b, currency)
    assert (one + other) - other == one
    assert one + other == other + one


@pytest.mark.parametrize(
    ("minor", "currency"), [(-1, "EUR"), (1, "EURO"), (True, "EUR"), (MAX_MINOR + 1, "EUR")]
)
def test_what_is_not_money_is_refused(minor: int, currency: str) -> None:
    with pytest.raises(MoneyError):
        Money(minor, currency)


def test_money_is_never_negative_nor_mixed() -> None:
    with pytest.raises(MoneyError, match="more than"):
        Money(1, "EUR") - Money(2, "EUR")
    with pytest.raises(MoneyError, match="convert"):
        Money(1, "EUR") + Money(2, "CHF")


@pytest.mark.parametrize(
    ("money", "text"),
    [
        (Money(2500, "EUR"), "25.00 EUR"),
        (Money(5, "CHF"), "0.05 CHF"),
        (Money(500, "JPY"), "500 JPY"),
        (Money(1, "TND"), "0.001 TND"),
    ],
)
def test_money_reads_with_the_currencys_decimals(money: Money, text: str) -> None:
    assert str(money) == text


steps = st.lists(
    st.one_of(st.sampled_from(["captured", "cancelled", "failed"]), st.integers(0, 120)), max_size=8
)


@given(steps)
def test_no_sequence_of_steps_pays_back_more_than_was_paid(sequence: list[str | int]) -> None:
    payment = Payment.authorised(Money(100, "EUR"))
    was_captured = False
    for step in sequence:
        try:
            payment = (
                payment.refund(Money(step, "EUR")) if isinstance(step, int) else getattr(payment, step)()
            )
        except PaymentRefused:
            continue
        was_captured = was_captured or payment.status is Status.CAPTURED
        assert payment.refunded.minor <= payment.amount.minor
        assert (payment.status is Status.REFUNDED) == (payment.refunded == payment.amount)
        if payment.refunded.minor:
            assert was_captured
            assert payment.status in (Status.CAPTURED, Status.REFUNDED)


@pytest.mark.parametrize("final", ["cancelled", "failed"])
def test_a_payment_that_came_to_nothing_stays_so(final: str) -> None:
    payment = getattr(Payment.authorised(Money(100, "EUR")), final)()
    for step in ("captured", "cancelled", "failed"):
        with pytest.raises(PaymentRefused):
            getattr(payment, step)()


def test_a_payment_of_nothing_is_refused() -> None:
    with pytest.raises(PaymentRefused):
        Payment.authorised(Money(0, "EUR"))


# Published test numbers of the card networks.
@pytest.mark.parametrize(
    "value",
    [
        "4242424242424242",
        "4242 4242 4242 4242",
        "card 5555-5555-5555-4444 please",
        378282246310005,
        {"source": {"number": "6011111111111117"}},
        ["ok", {"4242424242424242": "key"}],
    ],
)
def test_card_numbers_are_found_wherever_they_hide(value: object) -> None:
    assert holds_card_number(value)


@pytest.mark.parametrize(
    "value", ["tok_visa", "2500", 2500, "4242424242424241", True, None, 1.5, "0033 1 23 45 67 89"]
)
def test_other_values_are_not_taken_for_card_numbers(value: object) -> None:
    assert not holds_card_number(value)


@given(st.uuids(version=4))
def test_identifiers_are_not_taken_for_card_numbers(value: uuid.UUID) -> None:
    assert not holds_card_number(str(value))


def test_invoice_numbers_sort_as_they_were_given() -> None:
    assert invoice_number(2026, 1) == "2026-000001"
    assert sorted(invoice_number(2026, n) for n in (10, 9, 100)) == [
        invoice_number(2026, n) for n in (9, 10, 100)
    ]
    with pytest.raises(ValueError, match="start at 1"):
        invoice_number(2026, 0)
