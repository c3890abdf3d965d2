"""The key that signs access tokens is replaced while a client goes on asking, and is refused nothing."""

from __future__ import annotations

import base64
import json

import pytest

from tests.cluster.conftest import RunningPlatform
from tests.cluster.runbooks.calling import Caller
from tests.cluster.runbooks.rehearsing import rehearse

pytestmark = pytest.mark.rehearsal


def key_of(token: str) -> str:
    head = token.split(".")[0]
    return str(json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))["kid"])


def test_tokens_are_signed_by_a_new_key_and_old_ones_still_accepted(
    running_platform: RunningPlatform,
) -> None:
    pair = running_platform.pair.name
    with Caller(running_platform) as caller:
        old = caller.token()
        rehearse(running_platform, "secret-rotation", "--pair", pair, "--kind", "token-keys", seconds=1500)
        new = caller.token()
        status, _ = caller.ask("GET", "/audit/v1/events?limit=1", {"authorization": f"Bearer {old}"})
    assert key_of(new) != key_of(old)
    assert status == 200
    assert caller.refused == []
