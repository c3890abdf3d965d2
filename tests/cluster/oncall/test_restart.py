"""The receiver with the real engine, killed while runs are going on: it goes on with them, and repeats nothing."""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path

import httpx

from runbooks.serve.web import WEBHOOK_PATH
from tests.cluster.oncall.receiver import STARTS, TOKEN, Receiver, effects, receiving
from vitalops import conventions as c
from vitalops.consultation.http import trust

ALERTS = 6
STEPS = 3
SECONDS = 60


def message(alert: str, number: int, status: str = "firing") -> bytes:
    labels = {
        "alertname": alert,
        c.METRIC_REGION: "fr-par",
        c.METRIC_SERVICE: f"service-{number}",
        "severity": "page",
    }
    found = {
        "status": status,
        "labels": labels,
        "annotations": {"summary": f"service {number} wants something"},
        "startsAt": "2026-01-01T00:00:00Z",
        "endsAt": "2026-01-01T00:05:00Z" if status == "resolved" else "0001-01-01T00:00:00Z",
        "fingerprint": f"{number:016x}",
    }
    return json.dumps({"version": "4", "alerts": [found]}).encode()


def send(receiver: Receiver, body: bytes) -> int:
    headers = {"authorization": f"Bearer {TOKEN}"}
    with httpx.Client(verify=trust(receiver.ca_file), timeout=20) as client:
        return client.post(receiver.url + WEBHOOK_PATH, content=body, headers=headers).status_code


def wait_for(receiver: Receiver, count: int) -> None:
    deadline = time.monotonic() + SECONDS
    while len(effects(receiver.effects)) < count:
        assert time.monotonic() < deadline, (
            effects(receiver.effects),
            (receiver.folder / "receiver.log").read_text(),
        )
        time.sleep(0.05)


def test_runs_that_a_killed_receiver_left_are_finished_once(tmp_path: Path) -> None:
    with receiving(tmp_path) as receiver:
        for number in range(ALERTS):
            assert send(receiver, message(STARTS, number)) == 200
        wait_for(receiver, 2)
        receiver.again()
        wait_for(receiver, ALERTS * STEPS // 2)
        receiver.again()
        for number in range(ALERTS):
            assert send(receiver, message(STARTS, number)) == 200  # as Alertmanager repeats itself
        wait_for(receiver, ALERTS * STEPS)
        time.sleep(1)
        assert receiver.stop() == 0
        done = effects(receiver.effects)
        assert len(done) == len(set(done)) == ALERTS * STEPS
        assert len({line.split()[0] for line in done}) == ALERTS
        assert receiver.journal.verify()[1] == []
        kinds = Counter(
            (entry.record.operation, entry.record.data["event"])
            for entry in receiver.journal.entries()
            if entry.record.operation.startswith("incident-")
        )
        assert set(kinds.values()) == {1}
        assert len(kinds) == 2 * ALERTS
