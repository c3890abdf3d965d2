"""Asking in the background: what fails, hangs or comes back."""

from __future__ import annotations

import threading
from datetime import timedelta

from vitalops.errors import RemoteError
from vitalops.ports.clock import FakeClock
from vitalops.watch.gather import PATIENCE, Gatherer, Poll
from vitalops.watch.snapshot import Held


class Asked:
    """Answers with a number that counts up, or fails with `failure`."""

    def __init__(self) -> None:
        self.count = 0
        self.failure: Exception | None = None

    def __call__(self) -> int:
        if self.failure:
            raise self.failure
        self.count += 1
        return self.count


def test_an_answer_is_held_with_its_moment() -> None:
    clock, asked = FakeClock(), Asked()
    poll = Poll("a", asked, 5, clock)
    assert poll.held() == Held()
    poll.once()
    first = clock.now()
    clock.advance(5)
    assert poll.held() == Held(1, first)


def test_a_failure_keeps_the_last_answer_and_says_since_when() -> None:
    clock, asked = FakeClock(), Asked()
    poll = Poll("a", asked, 5, clock)
    poll.once()
    answered = clock.now()
    clock.advance(5)
    gone = clock.now()
    asked.failure = RemoteError("region fr-gra: gone", hint="start it")
    poll.once()
    clock.advance(5)
    asked.failure = RemoteError("region fr-gra: still gone")
    poll.once()
    assert poll.held() == Held(1, answered, "region fr-gra: still gone", gone)
    asked.failure = None
    poll.once()
    assert poll.held() == Held(2, clock.now())


def test_a_fault_of_a_question_does_not_end_its_thread() -> None:
    asked = Asked()
    asked.failure = ZeroDivisionError("division by zero")
    poll = Poll("a", asked, 5, FakeClock())
    poll.once()
    assert poll.held().problem == "ZeroDivisionError: division by zero"


def test_who_hangs_is_said_to_and_keeps_nobody_waiting() -> None:
    clock = FakeClock()
    begun, release = threading.Event(), threading.Event()

    def hang() -> int:
        begun.set()
        release.wait(30)
        return 1

    slow, quick = Poll("slow", hang, 5, clock), Poll("quick", Asked(), 5, clock)
    asked_at = clock.now()
    gatherer = Gatherer([slow, quick])
    gatherer.once(timedelta(seconds=0.05))
    assert begun.wait(5)
    assert quick.held().value == 1
    assert slow.held() == Held()
    clock.advance(PATIENCE.total_seconds())
    assert slow.held() == Held(None, None, "no answer within 10 s", asked_at)
    release.set()
    for thread in threading.enumerate():
        if thread.name == "slow":
            thread.join(5)
    assert slow.held().value == 1
    assert slow.held().problem == ""


def test_polls_are_asked_again_until_the_block_ends() -> None:
    enough = threading.Event()

    def ask() -> int:
        nonlocal count
        count += 1
        if count == 3:
            enough.set()
        return count

    count = 0
    with Gatherer([Poll("often", ask, 0.001, FakeClock())]):
        assert enough.wait(10)
        thread = next(each for each in threading.enumerate() if each.name == "often")
    thread.join(5)
    assert not thread.is_alive()
