from __future__ import annotations

import json
import time
import urllib.error
import urllib.request

import pytest

from bench.receiver import Receiver, receiver


def send(pager: Receiver, token: str, *alerts: tuple[str, dict[str, str]]) -> int:
    body = json.dumps({"alerts": [{"status": status, "labels": labels} for status, labels in alerts]})
    request = urllib.request.Request(
        pager.url, data=body.encode(), headers={"authorization": f"Bearer {token}"}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=5) as response:
        return int(response.status)


def test_only_messages_with_the_token_are_taken() -> None:
    with receiver("right") as pager:
        with pytest.raises(urllib.error.HTTPError, match="401") as refusal:
            send(pager, "wrong", ("firing", {"alertname": "A"}))
        refusal.value.close()
        assert (pager.notices, pager.refused) == ([], 1)
        assert send(pager, "right", ("firing", {"alertname": "A"})) == 204
        assert len(pager.notices) == 1


def test_the_first_notice_about_an_alert_is_waited_for() -> None:
    with receiver("t") as pager:
        labels = {"alertname": "Burn", "slo": "a", "severity": "page"}
        send(pager, "t", ("firing", labels | {"slo": "b"}), ("firing", labels), ("resolved", labels))
        assert pager.pending({"slo": "b"})
        assert not pager.pending({"slo": "a"})
        notice = pager.wait_for({"slo": "a"}, "resolved", 1)
        assert (notice.status, notice.labels) == ("resolved", labels)
        with pytest.raises(TimeoutError, match=r"no firing notice .* received: Burn firing, Burn resolved"):
            pager.wait_for({"slo": "a"}, "firing", 0, since=time.time() + 60)
