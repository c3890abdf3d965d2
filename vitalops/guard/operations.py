"""What may be asked of a guard from inside its pod, by name."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable
from typing import Any, Final

from vitalops.errors import RemoteError, UsageError
from vitalops.fencing.standing import PairStanding
from vitalops.guard.guard import Guard
from vitalops.guard.patroni import PatroniRest
from vitalops.guard.postgres import Database

FENCE_SECONDS: Final = 3.0
"""A demotion mostly takes less: the answer to a new standing waits so long for it, which saves a question."""

Asked = dict[str, Any]


class Operations:
    """Each takes and gives JSON. Raises VitalopsError."""

    def __init__(self, guard: Guard, database: Database, rest: PatroniRest) -> None:
        self._guard, self._database, self._rest = guard, database, rest
        self._known: Final[dict[str, Callable[[Asked], Any]]] = {
            "permit": self._permit,
            "state": self._state,
            "take": self._take,
            "promote": lambda asked: {"seconds": guard.promote(int(asked["token"]), float(asked["timeout"]))},
            "follow": lambda asked: {"how": guard.follow(int(asked["token"]), float(asked["timeout"]))},
            "replace-leader": self._replace_leader,
            "query": self._query,
        }

    def run(self, name: str, asked: Asked) -> Any:
        found = self._known.get(name)
        if found is None:
            raise UsageError(f"a guard knows no {name!r}")
        return found(asked)

    def _permit(self, _: Asked) -> Any:
        answer = self._guard.permit()
        return {"leave": answer.leave.value, "reason": answer.reason}

    def _state(self, _: Asked) -> Any:
        return {**self._guard.state(), "members": self._members()}

    def _members(self) -> list[Any]:
        try:
            return self._rest.members()
        except RemoteError:
            return []

    def _take(self, asked: Asked) -> Any:
        standing = PairStanding.from_data(asked["standing"])
        self._guard.take(standing)
        if standing.active != self._guard.settings.region:
            self._guard.until_fenced(FENCE_SECONDS)
        return self._state({})

    def _query(self, asked: Asked) -> Any:
        return {
            "rows": self._database.query(str(asked["database"]), str(asked["sql"]), float(asked["timeout"]))
        }

    def _replace_leader(self, asked: Asked) -> Any:
        """A switchover to another member, or a restart of the only one."""
        members = self._rest.members()
        leader = next((m["name"] for m in members if m["role"] in ("leader", "standby_leader")), "")
        if len(members) > 1 and leader:
            path, body = "/switchover", {"leader": leader}
        else:
            path, body = "/restart", {}
        timeout = float(asked["timeout"])
        status, text = self._rest.ask("POST", path, body, timeout)
        if status not in (http.client.OK, http.client.ACCEPTED):
            raise RemoteError(f"Patroni answered {status} to {path}: {' '.join(text.split())[:200]}")
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            led = next(
                (
                    m["name"]
                    for m in self._members()
                    if m["role"] in ("leader", "standby_leader") and m["state"] in ("running", "streaming")
                ),
                "",
            )
            if led and (len(members) == 1 or led != leader):
                return {"leader": led}
            time.sleep(0.2)
        raise RemoteError(f"no member led within {timeout:g} s after {path}")
