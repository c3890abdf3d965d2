"""A platform on the fakes that notes every effect of a step, and can let the runner die at one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

READS = frozenset(
    {
        *("platform", "clock", "name", "region", "holder", "objects"),
        *("state", "restore_state", "restored", "calls", "mode", "active", "calls_lead_to", "sees"),
        *("fault", "delay_seconds", "instant", "range", "alerts", "get", "names", "text", "active_region"),
        *("consult", "now", "monotonic", "sleep"),
    }
)
"""What changes nothing. A consultation is made to look at the platform, as often as one likes."""
DOORS = frozenset({"cluster", "database", "backups", "media", "call_modes", "metrics", "alerts", "directors"})
"""What leads to a port of a region or pair."""


SETTERS = ("take_standing", "set_active_region", "bring_up", "limit", "set_mode", "point")
"""What may be said again, for it says how things shall be: a second time changes nothing."""


def told(effects: list[str]) -> list[str]:
    """Effects without those that only say again what was said."""
    kept: list[str] = []
    for effect in effects:
        name = effect.split(" ")[0].rpartition(".")[2]
        if name not in SETTERS or effect not in kept:
            kept.append(effect)
    return kept


class Watched:
    """Stands before a `FakeRunning`, or before one of its ports, and passes everything on."""

    def __init__(self, inner: Any, note: Callable[[str], None], path: str = "") -> None:
        self.__dict__.update(_inner=inner, _note=note, _path=path)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._inner, name, value)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        path = f"{self._path}.{name}" if self._path else name
        if name == "secrets":
            return Watched(found, self._note, path)
        if not callable(found):
            return found
        if not self._path and name in DOORS:
            return lambda *given: self._entered(found(*given), f"{path}({given[0]})" if given else path)
        if name in READS:
            return found

        def effect(*given: Any, **named: Any) -> Any:
            if name == "request" and given and given[0] == "GET":
                return found(*given, **named)
            shown = " ".join(str(each) for each in given[:2] if isinstance(each, str) and len(each) < 200)
            if name == "request" and "/pods" in shown:
                # A pod of its own that a step looks with, and removes: as good as reading.
                return found(*given, **named)
            self._note(f"before {path} {shown}")
            answer = found(*given, **named)
            self._note(f"{path} {shown}")
            return answer

        return effect

    def _entered(self, port: Any, path: str) -> Any:
        if isinstance(port, tuple):
            return tuple(Watched(each, self._note, f"{path}[{n}]") for n, each in enumerate(port))
        return Watched(port, self._note, path)
