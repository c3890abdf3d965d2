"""Keys of the dashboard."""

from __future__ import annotations

import pytest

from cli.watch.frame import View
from cli.watch.keys import keys_of, pressed

REGIONS = ("fr-par", "fr-gra")


@pytest.mark.parametrize("key", ["q", "Q", "\x03", "\x04"])
def test_quitting(key: str) -> None:
    assert pressed(View(), key, REGIONS) is None


@pytest.mark.parametrize(
    ("view", "key", "after"),
    [
        (View(), "p", View(paused=True)),
        (View(paused=True), "p", View()),
        (View(), "?", View(help=True)),
        (View(help=True), "\x1b", View()),
        (View(), "\t", View(region="fr-par")),
        (View(region="fr-par"), "\t", View(region="fr-gra")),
        (View(region="fr-gra"), "\t", View()),
        (View(), "2", View(region="fr-gra")),
        (View(region="fr-gra"), "0", View()),
        (View(), "3", View()),
        (View(), "x", View()),
        (View(), "²", View()),
    ],
)
def test_choosing(view: View, key: str, after: View) -> None:
    assert pressed(view, key, REGIONS) == after


@pytest.mark.parametrize(
    ("typed", "keys"),
    [
        (b"q", ["q"]),
        (b"pp", ["p", "p"]),
        (b"\x1b[A", []),
        (b"\x1bOP", []),
        (b"\x1b", ["\x1b"]),
        (b"\xff", ["\ufffd"]),
    ],
)
def test_what_a_terminal_sends(typed: bytes, keys: list[str]) -> None:
    assert keys_of(typed) == keys
