"""What waits, and sending again what was given up: in order, once a run, and without a second effect."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest

from services.common.outbox import enqueue
from services.common.queues import main, run
from services.common.testing import FixedClock
from services.consent.service import SERVICE


@pytest.fixture
def client(start: Callable[..., Any]) -> Any:
    return start(SERVICE)


@pytest.fixture
def context(client: Any) -> Any:
    return client.app.state.context


@pytest.fixture
def ask(context: Any, clock: FixedClock) -> Callable[..., Any]:
    return lambda *arguments: run("consent", context.database.engine, arguments, clock.now())


def replay(ask: Callable[..., Any], before: float, limit: int = 10) -> int:
    return int(ask("--replay", "outbox", "--before", str(before), "--limit", str(limit))["replayed"])


def give_up(client: Any, context: Any, platform: Any, clock: FixedClock, count: int = 1) -> None:
    """The receiver refuses `count` messages for good."""
    platform.answers["notification"] = lambda _: httpx.Response(422)
    for number in range(count):
        with context.unit_of_work() as session:
            enqueue(session, "notification", "/v1/messages", {"number": number})
        clock.advance(seconds=1)
    client.deliver()
    platform.answers.clear()


def test_depth_tells_waiting_from_given_up(
    client: Any, context: Any, platform: Any, clock: FixedClock, ask: Callable[..., Any]
) -> None:
    give_up(client, context, platform, clock, 2)
    given_up = clock.now().timestamp()
    clock.advance(seconds=5)
    with context.unit_of_work() as session:
        enqueue(session, "notification", "/v1/messages", {})
    (depth,) = ask()
    assert depth == {
        "queue": "outbox",
        "waiting": 1,
        "oldest": clock.now().timestamp(),
        "given_up": 2,
        "first_given_up": given_up,
        "last_given_up": given_up,
    }


def test_replaying_sends_in_the_order_of_creation(
    client: Any, context: Any, platform: Any, clock: FixedClock, ask: Callable[..., Any]
) -> None:
    give_up(client, context, platform, clock, 5)
    before = clock.now().timestamp()
    assert [replay(ask, before, 3), replay(ask, before, 3), replay(ask, before, 3)] == [3, 2, 0]
    client.deliver()
    bodies = [body["number"] for body in platform.sent_to("notification/v1/messages")]
    assert bodies == [0, 1, 2, 3, 4]
    assert ask()[0]["given_up"] == 0


def test_what_is_refused_again_is_not_replayed_by_the_same_run(
    client: Any, context: Any, platform: Any, clock: FixedClock, ask: Callable[..., Any]
) -> None:
    give_up(client, context, platform, clock)
    before = clock.now().timestamp()
    assert replay(ask, before) == 1
    clock.advance(seconds=2)
    platform.answers["notification"] = lambda _: httpx.Response(422)
    client.deliver()
    assert replay(ask, before) == 0
    assert ask()[0]["first_given_up"] > before
    clock.advance(seconds=1)
    assert replay(ask, clock.now().timestamp()) == 1


def test_a_message_under_way_is_left_alone(
    client: Any, context: Any, clock: FixedClock, ask: Callable[..., Any]
) -> None:
    with context.unit_of_work() as session:
        enqueue(session, "notification", "/v1/messages", {})
    assert replay(ask, (clock.now() + timedelta(hours=1)).timestamp()) == 0


@pytest.mark.parametrize(
    "arguments", [("--replay",), ("--replay", "letters", "--before", "1", "--limit", "1")]
)
def test_wrong_calls_are_refused(ask: Callable[..., Any], arguments: tuple[str, ...]) -> None:
    with pytest.raises((ValueError, LookupError)):
        ask(*arguments)


def test_called_as_a_command(tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([], {}) == 2
    assert main(["nothing"], {}) == 2
    environment = {
        "VITALOPS_DATABASE_URL": f"sqlite:///{tmp_path}/x.db",
        "VITALOPS_ISSUER": "https://x.example",
    }
    assert main(["consent"], environment) == 3
    assert "refused: OperationalError" in capsys.readouterr().err
