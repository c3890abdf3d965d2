from __future__ import annotations

from pathlib import Path

import pytest

from vitalops.errors import UsageError
from vitalops.prober import variables as v
from vitalops.prober.settings import ProberSettings


@pytest.fixture
def given(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "secret").write_text("s3cret\n")
    return {
        v.URL: "https://localhost:8443",
        v.VIA: "https://gateway:8443",
        v.CA_FILE: "/etc/ca.crt",
        v.SECRET_FILE: str(tmp_path / "secret"),
        v.INTERVAL: "60",
        v.REGION: "fr-par",
    }


def test_settings_are_read_from_variables_and_a_file(given: dict[str, str]) -> None:
    settings = ProberSettings.from_environment(given)
    assert settings.target.client_secret == "s3cret"
    assert (settings.target.via, settings.interval, settings.region) == (
        "https://gateway:8443",
        60.0,
        "fr-par",
    )
    assert "s3cret" not in repr(settings)


@pytest.mark.parametrize(
    ("changes", "seen"),
    [
        ({v.URL: ""}, f"{v.URL} is not set"),
        ({v.REGION: ""}, f"{v.REGION} is not set"),
        ({v.SECRET_FILE: "/nowhere/secret"}, "/nowhere/secret cannot be read"),
        ({v.INTERVAL: "a minute"}, "'a minute', not a number of seconds"),
    ],
)
def test_what_is_missing_is_named(given: dict[str, str], changes: dict[str, str], seen: str) -> None:
    with pytest.raises(UsageError, match=seen):
        ProberSettings.from_environment(given | changes)
