"""The tails against exact fractions, and the steps against the tails."""

from __future__ import annotations

from decimal import Decimal, localcontext
from fractions import Fraction
from math import comb

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vitalops.slo.binomial import at_least, at_most, fewest_events, most_events

PROBABILITIES = st.sampled_from([0.0001, 0.001, 0.006, 0.0144, 0.05, 0.144, 0.3, 0.72, 0.95])
ALPHAS = st.sampled_from([0.001, 0.01, 0.05])


def exact(k: int, n: int, p: float) -> float:
    """P(X >= k), without rounding until the end."""
    q = Fraction(p)
    return float(sum(comb(n, i) * q**i * (1 - q) ** (n - i) for i in range(max(k, 0), n + 1)))


@settings(max_examples=60)
@given(st.integers(0, 60), st.integers(0, 60), PROBABILITIES)
def test_tails_are_exact(k: int, n: int, p: float) -> None:
    assert at_least(k, n, p) == pytest.approx(exact(k, n, p), rel=1e-6, abs=1e-12)
    assert at_most(k, n, p) == pytest.approx(1 - exact(k + 1, n, p), rel=1e-6, abs=1e-12)


@pytest.mark.parametrize(("k", "n", "p"), [(10, 10_000, 0.0144), (52, 3600, 0.0144), (3, 10**6, 1e-6)])
def test_tails_of_many_events(k: int, n: int, p: float) -> None:
    with localcontext(prec=60):
        q = Decimal(p)
        below = sum(comb(n, i) * q**i * (1 - q) ** (n - i) for i in range(k))
        assert at_least(k, n, p) == pytest.approx(float(1 - below), rel=1e-6)


@settings(max_examples=60)
@given(st.integers(1, 20), PROBABILITIES, ALPHAS)
def test_a_step_is_the_last_number_of_events_that_proves_something(k: int, p: float, alpha: float) -> None:
    n = most_events(k, p, alpha)
    assert n >= k - 1
    assert at_least(k, n, p) <= alpha < at_least(k, n + 1, p)


@settings(max_examples=60)
@given(st.integers(0, 8), PROBABILITIES, ALPHAS)
def test_a_lower_step_is_the_first_number_of_events_that_proves_something(
    k: int, p: float, alpha: float
) -> None:
    n = fewest_events(k, p, alpha)
    assert at_most(k, n, p) <= alpha < at_most(k, n - 1, p)


@given(PROBABILITIES, ALPHAS)
def test_more_failures_are_significant_among_more_events(p: float, alpha: float) -> None:
    steps = [most_events(k, p, alpha) for k in range(1, 13)]
    assert steps == sorted(set(steps))


def test_known_values() -> None:
    """Of 768 requests none failed: with a true rate of 0.6 % that happens less than once in a hundred times."""
    assert fewest_events(0, 0.006, 0.01) == 766
    assert (1 - 0.006) ** 766 <= 0.01 < (1 - 0.006) ** 765
    assert at_least(1, 1, 0.25) == pytest.approx(0.25)
    assert at_most(0, 2, 0.5) == pytest.approx(0.25)
    assert at_least(0, 5, 0.5) == 1.0
    assert at_least(6, 5, 0.5) == 0.0
