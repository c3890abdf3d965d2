"""A client whose access is revoked is refused although its token is good; and comes in again when it is given back."""

from __future__ import annotations

import time

import pytest

from tests.cluster.conftest import RunningPlatform
from tests.cluster.runbooks.calling import Caller
from tests.cluster.runbooks.rehearsing import rehearse
from vitalops.conventions import OPERATOR_CLIENT

pytestmark = pytest.mark.rehearsal

PATH = "/audit/v1/events?limit=1"


def test_a_good_token_is_refused_until_access_is_given_back(running_platform: RunningPlatform) -> None:
    caller = Caller(running_platform)
    headers = {"authorization": f"Bearer {caller.token()}"}
    assert caller.ask("GET", PATH, headers)[0] == 200
    arguments = ("access-revocation", "--subject", OPERATOR_CLIENT, "--pair", running_platform.pair.name)
    try:
        rehearse(running_platform, *arguments, "--hours", "1")
        # Every gateway was told: whichever a request comes to, it is refused.
        answers = {caller.ask("GET", PATH, headers) for _ in range(5)}
        assert {status for status, _ in answers} == {401}
        assert all("Access is revoked" in text for _, text in answers)
        assert caller.token() == ""
    finally:
        given = ("--lift", "--reason", "the rehearsal is over")
        running_platform.vitalops("--yes", "runbook", "run", *arguments, *given)
    time.sleep(1)
    assert caller.ask("GET", PATH, headers)[0] == 200
    assert caller.token()
