from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.unit.vitalops.consultation.test_quality import GOOD
from vitalops.consultation.call import ProcessCall, Seat
from vitalops.consultation.walk import StepFailed

SEATS = (Seat("patient", "token-1"), Seat("practitioner", "token-2"))


def child(*statements: str) -> tuple[str, ...]:
    """A stand-in for the participants' process, of the given statements."""
    source = "\n".join(
        (
            "import json, os, sys, time",
            "def say(event, **more): print(json.dumps({'event': event, **more}), flush=True)",
            *statements,
        )
    )
    return (sys.executable, "-c", source)


def calling(command: tuple[str, ...], talk: Callable[[ProcessCall], Awaitable[object]]) -> object:
    async def run() -> object:
        async with ProcessCall(Path("/platform/ca.crt"), command) as call:
            return await talk(call)

    return asyncio.run(run())


async def begin(call: ProcessCall) -> None:
    await call.begin("wss://edge.test", SEATS, 1.0)


def test_a_call_runs_its_course() -> None:
    whole = child(
        "say('ready')",
        "job = json.loads(sys.stdin.readline())",
        "for each in job['participants']: say('joined', who=each['name'], seconds=0.5)",
        "say('flowing')",
        f"say('measured', receptions=[json.loads({json.dumps(asdict(GOOD))!r})])",
        "assert sys.stdin.readline() == 'stop\\n'",
        "say('left')",
    )

    async def talk(call: ProcessCall) -> object:
        await begin(call)
        assert await call.joined() == {"patient": 0.5, "practitioner": 0.5}
        await call.flowing()
        receptions = await call.measured()
        await call.leave()
        return receptions

    assert calling(whole, talk) == (GOOD,)


def test_tokens_travel_by_stdin_and_the_environment_is_bare() -> None:
    os.environ["VITALOPS_TEST_SECRET"] = "not for the child"
    told = child(
        "say('ready')",
        "job = json.loads(sys.stdin.readline())",
        "argv = open('/proc/self/cmdline').read()",
        "say('failed', problem=json.dumps([job, job['participants'][0]['token'] in argv, dict(os.environ)]))",
    )

    async def talk(call: ProcessCall) -> None:
        await begin(call)
        await call.joined()

    try:
        with pytest.raises(StepFailed) as failure:
            calling(told, talk)
    finally:
        del os.environ["VITALOPS_TEST_SECRET"]
    job, on_command_line, environment = json.loads(str(failure.value))
    assert job["participants"][0] == {"name": "patient", "token": "token-1", "mode": "video"}
    assert on_command_line is False
    assert environment["SSL_CERT_FILE"] == "/platform/ca.crt"
    assert "VITALOPS_TEST_SECRET" not in environment


def test_a_seat_does_not_show_its_token() -> None:
    assert "token-1" not in repr(SEATS[0])


@pytest.mark.parametrize(
    ("command", "seen"),
    [
        (child("sys.exit('the native library is missing')"), "before 'ready': the native library is missing"),
        (child("os._exit(7)"), "exit status 7"),
        (child("say('left')"), "said 'left' where 'ready' was due"),
        (child("say('failed', problem='patient could not join')"), "patient could not join"),
    ],
)
def test_participants_that_fail_say_why(command: tuple[str, ...], seen: str) -> None:
    with pytest.raises(StepFailed, match=seen):
        calling(command, begin)


def test_closing_ends_a_child_that_does_not_listen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vitalops.consultation.call.LEAVE_SECONDS", 0.2)
    deaf = child("say('ready')", "say('failed', problem=str(os.getpid()))", "time.sleep(60)")

    async def talk(call: ProcessCall) -> None:
        await begin(call)
        await call.joined()

    with pytest.raises(StepFailed) as failure:
        calling(deaf, talk)
    with pytest.raises(ProcessLookupError):
        os.kill(int(str(failure.value)), 0)
