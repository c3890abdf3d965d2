"""What a key does to the view. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from cli.watch.frame import View

QUIT = ("q", "Q", "\x03", "\x04")


def pressed(view: View, key: str, regions: Sequence[str]) -> View | None:
    """The view after `key`; None to quit. Keys that mean nothing change nothing."""
    match key:
        case _ if key in QUIT:
            return None
        case "p" | "P" | " ":
            return replace(view, paused=not view.paused)
        case "?" | "h":
            return replace(view, help=not view.help)
        case "\x1b":
            return replace(view, help=False, region=None)
        case "\t":
            order = (None, *regions)
            return replace(view, region=order[(order.index(view.region) + 1) % len(order)], help=False)
        case "0":
            return replace(view, region=None, help=False)
        case _ if key in "123456789" and int(key) <= len(regions):
            return replace(view, region=regions[int(key) - 1], help=False)
        case _:
            return view


def keys_of(typed: bytes) -> list[str]:
    """Keys from what a terminal sent. Escape sequences (arrows, function keys) are left out, a lone Escape is not."""
    text = typed.decode("utf-8", "replace")
    if text.startswith("\x1b") and len(text) > 1:
        return []
    return list(text)
