"""Who may log in, and until when."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runbooks.serve.people import ATTEMPTS, SESSION_KEY, SESSION_SECONDS, People
from vitalops.errors import UsageError
from vitalops.ports.clock import FakeClock
from vitalops.secretstore import InMemorySecretStore


@pytest.fixture
def people() -> People:
    return People(InMemorySecretStore(), FakeClock())


def test_somebody_logs_in_and_is_known_by_the_cookie(people: People) -> None:
    token = people.add("anne")
    cookie = people.log_in("anne", token)
    assert cookie is not None
    assert token not in cookie
    session = people.session(cookie)
    assert session is not None
    assert session.person == "anne"
    other = people.log_in("anne", token)
    assert other is not None
    again = people.session(other)
    assert again is not None
    assert again.csrf != session.csrf


@pytest.mark.parametrize(
    ("name", "token"), [("anne", "x"), ("noel", None), ("", None), ("../anne", None), ("anne", "é\ud800")]
)
def test_nobody_else_does(people: People, name: str, token: str | None) -> None:
    right = people.add("anne")
    assert people.log_in(name, right if token is None else token) is None


def test_a_session_ends_with_its_time_its_token_and_the_servers_key(people: People) -> None:
    assert isinstance(people.clock, FakeClock)
    cookie = people.log_in("anne", people.add("anne"))
    assert cookie is not None
    people.clock.advance(SESSION_SECONDS - 1)
    assert people.session(cookie) is not None
    people.clock.advance(1)
    assert people.session(cookie) is None

    cookie = people.log_in("anne", people.add("anne"))
    assert cookie is not None
    people.add("anne")
    assert people.session(cookie) is None

    cookie = people.log_in("anne", people.add("anne"))
    assert cookie is not None
    people.store.replace(SESSION_KEY, "another-key")
    assert people.session(cookie) is None


def test_somebody_revoked_is_gone(people: People) -> None:
    token = people.add("anne")
    cookie = people.log_in("anne", token)
    assert cookie is not None
    assert people.names() == ("anne",)
    people.revoke("anne")
    assert people.names() == ()
    assert people.session(cookie) is None
    assert people.log_in("anne", token) is None
    kept = people.store.get("operations/oncall/anne")
    assert kept is not None
    assert people.log_in("anne", kept) is None
    with pytest.raises(UsageError, match="not on call"):
        people.revoke("anne")


def test_guessing_is_slow(people: People) -> None:
    assert isinstance(people.clock, FakeClock)
    token = people.add("anne")
    for _ in range(ATTEMPTS):
        assert people.log_in("anne", "wrong") is None
    assert people.log_in("anne", token) is None
    people.clock.advance(61)
    assert people.log_in("anne", token) is not None


@pytest.mark.parametrize("name", ["", "Anne", "a b", "../x", "-a", "é", "x" * 80])
def test_names_that_cannot_be(people: People, name: str) -> None:
    with pytest.raises(UsageError):
        people.add(name)


@given(st.text(max_size=60))
def test_no_cookie_that_was_not_signed_is_anybodys(text: str) -> None:
    people = People(InMemorySecretStore(), FakeClock())
    people.add("anne")
    assert people.session(text) is None


@given(st.data())
def test_no_changed_cookie_is_anybodys(data: st.DataObject) -> None:
    people = People(InMemorySecretStore(), FakeClock())
    cookie = people.log_in("anne", people.add("anne"))
    assert cookie is not None
    index = data.draw(st.integers(0, len(cookie) - 1))
    other = data.draw(st.sampled_from("abAB01_-.").filter(lambda each: each != cookie[index]))
    assert people.session(cookie[:index] + other + cookie[index + 1 :]) is None
