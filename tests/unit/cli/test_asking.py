"""Confirmation and progress: what is said to a person at a terminal, and what to a pipe."""

from __future__ import annotations

import io
import re
import threading

import pytest

from cli import context
from cli.confirm import confirm
from cli.progress import ConsoleProgress, progress
from vitalops.errors import UsageError
from vitalops.ports.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _fresh() -> None:
    context.reset()


def answering(monkeypatch: pytest.MonkeyPatch, answer: str) -> Terminal:
    asked = Terminal()
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    monkeypatch.setattr("sys.stderr", asked)
    return asked


@pytest.mark.parametrize("answer", ["y\n", "yes\n", " Y \n"])
def test_yes_goes_ahead(monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    asked = answering(monkeypatch, answer)
    confirm("Delete the volumes of fr-par?")
    assert asked.getvalue() == "Delete the volumes of fr-par? [y/N] "


@pytest.mark.parametrize("answer", ["\n", "n\n", "no\n", "yep\n", ""])
def test_anything_else_changes_nothing(monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    answering(monkeypatch, answer)
    with pytest.raises(UsageError, match="nothing was changed"):
        confirm("Delete?")


def test_where_nobody_can_answer_the_option_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    with pytest.raises(UsageError, match="--yes"):
        confirm("Delete?")


def test_the_option_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    context.choose_yes()
    confirm("Delete?")


def test_a_pipe_gets_one_line_for_each_step() -> None:
    stream = io.StringIO()
    with ConsoleProgress("Starting regions", stream) as console:
        console.step("fr-par", "etcd")
        console.step("fr-par", "kubelet")
        console.done("fr-par", 6.63)
    lines = stream.getvalue().splitlines()
    assert lines[:3] == ["Starting regions ...", "fr-par: etcd", "fr-par: done in 6.6 s"]
    assert re.fullmatch(r"Starting regions: done in \d+\.\d s", lines[3])


def test_an_update_without_much_time_between_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("cli.progress.time.monotonic", lambda: now[0])
    stream = io.StringIO()
    with ConsoleProgress("Building", stream) as console:
        for second in range(25):
            now[0] = float(second)
            console.update(f"{second} of 25")
    assert stream.getvalue().splitlines() == [
        "Building ...",
        "Building: 10 of 25",
        "Building: 20 of 25",
        "Building: done in 24.0 s",
    ]


def test_work_that_failed_is_not_said_to_be_done() -> None:
    stream = io.StringIO()

    def work() -> None:
        with ConsoleProgress("Building", stream):
            raise UsageError("no disk")

    with pytest.raises(UsageError):
        work()
    assert "done" not in stream.getvalue()


def test_a_terminal_gets_live_lines_and_markup_in_details_is_text() -> None:
    stream = Terminal()
    with ConsoleProgress("", stream) as console:
        console.step("fr-par", "[red]etcd[/red] [/]")
        console.step("fr-gra")
        console.done("fr-par", 1.0)
        console.done("fr-gra", 1.0)
        console.done("never begun", 1.0)
    shown = stream.getvalue()
    assert "fr-par" in shown
    assert "fr-gra" in shown
    assert "\x1b[" in shown


def test_several_threads_may_report() -> None:
    stream = io.StringIO()
    with progress() as unused:
        port: Progress = unused
        assert port is not None
    with ConsoleProgress("", stream) as console:

        def report(name: str) -> None:
            for number in range(50):
                console.step(name, str(number))
            console.done(name, 1)

        threads = [threading.Thread(target=report, args=(f"t{number}",)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(stream.getvalue().splitlines()) == 16
