"""Did you mean ...?"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def closest(word: str, known: Iterable[str]) -> str | None:
    """The known word that `word` was most likely meant to be, if any comes near."""
    candidates = {each.lower(): each for each in known}
    matches = get_close_matches(word.lower(), candidates, n=1, cutoff=0.6)
    return candidates[matches[0]] if matches else None


def suggestion(word: str, known: Iterable[str]) -> str:
    """What to write instead of the unknown `word`: the closest known one, else all of them."""
    everything = tuple(known)
    near = closest(word, everything)
    if near is not None:
        return f"did you mean {near!r}?"
    if not everything:
        return "there is none"
    return f"one of {', '.join(everything)}"


def shown(value: object, limit: int = 48) -> str:
    """`value` as it may stand in a message: quoted, on one line, shortened."""
    text = repr(value) if isinstance(value, str) else str(value)
    text = " ".join(text.split())
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
