"""While a database password is replaced, a service knows both and the server one of them."""

from __future__ import annotations

from typing import Any

import pytest

from services.common.db import _connect_with_either


class Refused(Exception):
    pass


class Dialect:
    """A server that takes one password."""

    class loaded_dbapi:
        OperationalError = Refused

    def __init__(
        self, valid: str, reason: str = 'FATAL: password authentication failed for user "records"'
    ) -> None:
        self.valid, self.reason, self.tried = valid, reason, list[str]()

    def connect(self, **parameters: Any) -> str:
        self.tried.append(parameters["password"])
        if parameters["password"] != self.valid:
            raise Refused(self.reason)
        return "connected"


@pytest.mark.parametrize("valid", ["current", "other"])
def test_whichever_is_valid_connects(valid: str) -> None:
    dialect, parameters = Dialect(valid), {"password": "current"}
    assert _connect_with_either("other", dialect, None, (), parameters) == "connected"
    assert parameters == {"password": "current"}, "the next connection begins with the current one"


def test_neither_is_refused() -> None:
    dialect = Dialect("third")
    with pytest.raises(Refused):
        _connect_with_either("other", dialect, None, (), {"password": "current"})
    assert dialect.tried == ["current", "other"]


def test_what_is_no_matter_of_passwords_is_not_tried_again() -> None:
    dialect = Dialect("other", reason="connection refused")
    with pytest.raises(Refused, match="connection refused"):
        _connect_with_either("other", dialect, None, (), {"password": "current"})
    assert dialect.tried == ["current"]
