"""Exact binomial tails, and the step functions that carry them into PromQL, which cannot compute them.

With n events of which k failed, how often would a service that fails with probability p show as much, or as little?
    upper tail  P(X >= k | n, p) = sum over i = k..n of C(n, i) p^i (1-p)^(n-i)
    lower tail  P(X <= k | n, p) = 1 - P(X >= k+1 | n, p)
(Clopper and Pearson, Biometrika 26, 1934.) Both are monotonic in n, so that "at most alpha" holds up to, or from, one
n for each k: a step function of n.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from math import ceil, exp, fsum, lgamma, log, log1p

LARGEST_COUNT = 10**9
"""No window of a service that this suite is for holds more events."""


def at_most(k: int, n: int, p: float) -> float:
    """P(X <= k) of n events that each fail with probability p; 0 < p < 1."""
    if k < 0:
        return 0.0
    if k >= n:
        return 1.0
    if n - k - 1 < k + 1:
        return max(0.0, 1.0 - fsum(_mass(i, n, p) for i in range(k + 1, n + 1)))
    return min(1.0, fsum(_mass(i, n, p) for i in range(k + 1)))


def at_least(k: int, n: int, p: float) -> float:
    """P(X >= k) of n events that each fail with probability p; 0 < p < 1."""
    if k <= 0:
        return 1.0
    if k > n:
        return 0.0
    # The failures that are not there are the ones that did not fail.
    return at_most(n - k, n, 1.0 - p) if n - k < k else _upper(k, n, p)


def _upper(k: int, n: int, p: float) -> float:
    below = fsum(_mass(i, n, p) for i in range(k))
    if below < 0.999:
        return max(0.0, 1.0 - below)
    # Near 1 the difference would lose its digits: sum the tail itself, whose terms fall fast.
    terms: list[float] = []
    for i in range(k, n + 1):
        terms.append(_mass(i, n, p))
        if i > n * p and terms[-1] < 1e-18 * terms[0]:
            break
    return min(1.0, fsum(terms))


def _mass(i: int, n: int, p: float) -> float:
    return exp(lgamma(n + 1) - lgamma(i + 1) - lgamma(n - i + 1) + i * log(p) + (n - i) * log1p(-p))


@lru_cache(maxsize=4096)
def most_events(k: int, p: float, alpha: float) -> int:
    """The largest n with P(X >= k | n, p) <= alpha: among more events k failures prove nothing.

    At least k - 1, among which k failures cannot be.
    """
    return _last(k - 1, lambda n: at_least(k, n, p) <= alpha)


@lru_cache(maxsize=4096)
def fewest_events(k: int, p: float, alpha: float) -> int:
    """The smallest n with P(X <= k | n, p) <= alpha: among fewer events only k failures may be chance."""
    return _last(k, lambda n: at_most(k, n, p) > alpha) + 1


def _last(known: int, holds: Callable[[int], bool]) -> int:
    """The largest n for which `holds`, which is true of `known` and then until it is false for ever."""
    step = max(1, ceil(known / 4))
    high = known + step
    while holds(high):
        known = high
        step *= 2
        high = known + step
        if high > LARGEST_COUNT:
            return LARGEST_COUNT
    while high - known > 1:
        middle = (known + high) // 2
        if holds(middle):
            known = middle
        else:
            high = middle
    return known
