"""Key rings: which key signs, what is published, what is refused; and files that are read again."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey
from structlog.testing import capture_logs

from services.common.keyring import KeyRing, RingKey
from services.common.reloaded import ReloadedFile
from services.common.settings import SettingsError
from services.common.testing import FixedClock

KEY = ECKey.generate_key("P-256")


def entry(
    kid: str = "k0", not_before: float = 0, key: ECKey = KEY, *, private: bool = True
) -> dict[str, Any]:
    return {"kid": kid, "private_pem": key.as_pem(private=private).decode(), "not_before": not_before}


def test_the_newest_key_whose_time_has_come_signs_and_all_are_published(clock: FixedClock) -> None:
    now = clock.now().timestamp()
    entries = [entry(f"k{number}", time) for number, time in enumerate((now - 100, now - 10, now + 100))]
    ring = KeyRing.parse(json.dumps(entries), what="ring")
    assert ring.signing_key(clock.now()).kid == "k1"
    assert [key["kid"] for key in ring.document()["keys"]] == ["k0", "k1", "k2"]


@given(st.lists(st.integers(0, 2_000), min_size=1, max_size=6, unique=True), st.integers(0, 2_000))
def test_the_newest_due_key_signs_and_the_first_while_none_is_due(starts: list[int], now: int) -> None:
    ring = KeyRing([RingKey(str(start), datetime.fromtimestamp(start, UTC), KEY) for start in starts])
    due = [start for start in starts if start <= now]
    expected = max(due) if due else min(starts)
    assert ring.signing_key(datetime.fromtimestamp(now, UTC)).not_before.timestamp() == expected


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "[1]",
        '[{"kid": "a"}]',
        json.dumps([entry(), entry()]),
        json.dumps([entry() | {"private_pem": "rubbish"}]),
        json.dumps([entry(not_before=1e300)]),
        json.dumps([entry(key=ECKey.generate_key("P-384"))]),
        json.dumps([entry(private=False)]),
    ],
)
def test_a_bad_key_file_stops_the_service_and_is_not_repeated(text: str) -> None:
    with pytest.raises(SettingsError) as refused:
        KeyRing.parse(text, what="secret x")
    assert str(refused.value).startswith("secret x")
    assert "PRIVATE" not in str(refused.value)


def test_a_changed_file_is_read_again_and_the_last_good_version_stays(tmp_path: Path) -> None:
    path = tmp_path / "numbers"
    with pytest.raises(SettingsError, match="numbers"):
        ReloadedFile(path, int)
    path.write_text("rubbish")
    with pytest.raises(ValueError, match="rubbish"):
        ReloadedFile(path, int)
    path.write_text("1")
    number = ReloadedFile(path, int)
    path.write_text("22")
    assert number.get() == 22
    path.write_text("rubbish")
    with capture_logs() as logs:
        assert [number.get(), number.get()] == [22, 22]
    assert [(entry["event"], entry["file"]) for entry in logs] == [("secret file not usable", "numbers")]
    path.unlink()
    assert number.get() == 22
    path.write_text("333")
    assert number.get() == 333
