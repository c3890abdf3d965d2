"""Asking every region at once, and keeping apart what answered and what did not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

from vitalops.errors import RemoteError

S = TypeVar("S")
A = TypeVar("A")


@dataclass(frozen=True, slots=True)
class Gathered(Generic[A]):
    """Answers and failures by region, in the order in which the regions were given."""

    answers: Mapping[str, A]
    unreachable: Mapping[str, RemoteError]

    def require_one(self) -> None:
        """Raises the first failure where no region answered."""
        if not self.answers:
            for error in self.unreachable.values():
                raise error


def gather(connect: Mapping[str, Callable[[], S]], ask: Callable[[S], A]) -> Gathered[A]:
    """What each region's source answers; other errors than RemoteError are the caller's own and are raised."""

    def one(make: Callable[[], S]) -> A | RemoteError:
        try:
            return ask(make())
        except RemoteError as error:
            return error

    if not connect:
        return Gathered({}, {})
    with ThreadPoolExecutor(max_workers=min(len(connect), 16)) as pool:
        results = dict(zip(connect, pool.map(one, connect.values()), strict=True))
    answers = {name: result for name, result in results.items() if not isinstance(result, RemoteError)}
    failures = {name: result for name, result in results.items() if isinstance(result, RemoteError)}
    return Gathered(answers, failures)
