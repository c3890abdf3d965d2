"""Durable execution by DBOS: each turn's result is in its database before the next turn begins.

Which process carries out a run is decided by its claim (`claims`), not by DBOS: an executor's name is that of one
process only, so that a process that starts finds nothing of its own to recover, and what was another's is taken up by
being sent through a queue that this process alone listens to. DBOS fences the other one off: who lost a run can write
no result of it any more.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import threading
from typing import Any, Final

from dbos import DBOS, Serializer, SetWorkflowID

from runbooks.engine.memo import Body, Turn
from vitalops.errors import VitalopsError

NAME: Final = "vitalops"
VERSION: Final = "1"
"""Of the turns' form. Raised when runs begun by an older vitalops could not be taken up any more."""
POLL_SECONDS: Final = 0.2


class _Json(Serializer):
    """Plain JSON instead of DBOS' pickles: a database that many can write to must not be able to run code here."""

    def serialize(self, data: Any) -> str:
        return json.dumps(data, default=_told)

    def deserialize(self, serialized_data: str) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        return json.loads(serialized_data)

    def name(self) -> str:
        return "vitalops_json"


def _told(value: object) -> str:
    return f"{type(value).__name__}: {value}"


_body: Body | None = None


@DBOS.workflow(name="runbook")
def _workflow(run: str) -> str:
    assert _body is not None

    def memo(turn: Turn) -> Any:
        return DBOS.run_step({"name": "turn"}, lambda: dict(turn()))

    _body(run, memo)
    return run


class DbosDurability:
    """Implements runbooks.engine.memo.Durability. One for each process: DBOS is global.

    DBOS starts at the first use, which takes about 0.2 s; `begin` returns as soon as the run is on its way.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._executor = f"{os.uname().nodename}-{os.getpid()}-{secrets.token_hex(4)}"
        self._launched = False
        self._listening = False
        self._starting = threading.Lock()

    def attach(self, body: Body) -> None:
        global _body
        _body = body

    def launch(self) -> None:
        """Raises VitalopsError where the database cannot be used."""
        # Alerts come at the same time, each in a thread of its own.
        with self._starting:
            if not self._launched:
                self._launch()

    def _launch(self) -> None:
        logging.getLogger("dbos").setLevel(logging.CRITICAL)
        try:
            DBOS(
                config={
                    "name": NAME,
                    "system_database_url": self._url,
                    "application_version": VERSION,
                    "executor_id": self._executor,
                    "serializer": _Json(),
                    "log_level": "CRITICAL",
                    "console_log_level": "CRITICAL",
                    "notification_listener_polling_interval_sec": POLL_SECONDS,
                    "use_listen_notify": False,
                }
            )
            DBOS.listen_queues([self._executor])
            DBOS.launch()
        except Exception as error:
            DBOS.destroy()
            line = str(error).strip().splitlines()
            raise VitalopsError(
                f"durable execution cannot start: {line[0] if line else type(error).__name__}",
                hint="is the database of operations reached, and its disk not full?",
            ) from error
        self._launched = True

    def begin(self, run: str) -> None:
        self.launch()
        with SetWorkflowID(run):
            DBOS.start_workflow(_workflow, run)

    def go_on(self, run: str) -> None:
        self.launch()
        if DBOS.get_workflow_status(run) is None:
            self.begin(run)
            return
        with self._starting:
            if not self._listening:
                DBOS.register_queue(self._executor, polling_interval_sec=POLL_SECONDS)
                self._listening = True
        DBOS.resume_workflow(run, queue_name=self._executor)

    def close(self) -> None:
        if not self._launched:
            return
        if self._listening:
            DBOS.delete_queue(self._executor)
        DBOS.destroy()
        self._launched = self._listening = False
