"""A message that was given up arrives, once."""

from __future__ import annotations

import json
import uuid

import pytest

from tests.cluster.conftest import RunningPlatform
from tests.cluster.runbooks.calling import active
from tests.cluster.runbooks.rehearsing import rehearse
from vitalops.conventions import NAMESPACE_SERVICES

pytestmark = pytest.mark.rehearsal

_CONNECT = """
import json, os, sys
from datetime import UTC, datetime, timedelta
from sqlalchemy import create_engine, insert, text
from services.common.settings import load_settings
engine = create_engine(load_settings(os.environ).database_url)
"""
GIVE_UP = f"""{_CONNECT}
from services.common.tables import OUTBOX
row = json.loads(sys.argv[1])
moment = datetime.now(UTC) - timedelta(seconds=5)
with engine.begin() as connection:
    connection.execute(insert(OUTBOX).values(**row, batch_field="", traceparent="", created_at=moment,
        next_attempt_at=moment, attempts=1, dead=True, last_error="HTTP 422", synthetic=True))
"""
COUNT = f"""{_CONNECT}
with engine.begin() as connection:
    print(sum(row.subject == sys.argv[1] for row in connection.execute(text("TABLE inbox_entry"))))
"""


def test_what_was_given_up_arrives_once(running_platform: RunningPlatform) -> None:
    region = active(running_platform)

    def inside(service: str, script: str, argument: str) -> str:
        return running_platform.kubectl(
            region,
            "-n",
            NAMESPACE_SERVICES,
            "exec",
            f"deployment/{service}",
            "-c",
            service,
            "--",
            "python3",
            "-c",
            script,
            argument,
        ).stdout.strip()

    subject, body = str(uuid.uuid4()), {"starts_at": "2026-01-20T10:00:00+00:00"}
    message = {
        "id": str(uuid.uuid4()),
        "destination": "notification",
        "path": "/v1/notifications",
        "body": {"subject": subject, "template": "appointment-booked", "parameters": body},
    }
    inside("scheduling", GIVE_UP, json.dumps(message))
    run = rehearse(running_platform, "queue-drain", "--pair", running_platform.pair.name)
    replay = run["outputs"]["replay"]
    assert replay["queues"]["scheduling.outbox"]["given_up"] >= 1
    assert replay["replayed"]["scheduling.outbox"] >= 1
    for _ in range(30):
        if inside("notification", COUNT, subject) == "1":
            break
    assert inside("notification", COUNT, subject) == "1"
