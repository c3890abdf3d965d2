from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from vitalops.errors import SpecErrors, SpecFault
from vitalops.model.loader import LoadedPlatform, parse_platform

TODAY = date(2026, 6, 1)


class Text:
    """The bundled platform file, and edits of its text."""

    def __init__(self, content: str) -> None:
        self.content = content

    def edit(self, old: str, new: str, count: int = 1) -> Text:
        """With the first `count` places of `old` replaced; `old` must be there."""
        assert old in self.content, f"{old!r} is not in the file"
        return Text(self.content.replace(old, new, count))

    def line(self, part: str) -> int:
        """The 1-based line of the first place of `part`."""
        return self.content[: self.content.index(part)].count("\n") + 1

    def load(self, today: date = TODAY) -> LoadedPlatform:
        return parse_platform(self.content.encode(), "platform.yaml", today)

    def faults(self, today: date = TODAY) -> tuple[SpecFault, ...]:
        with pytest.raises(SpecErrors) as caught:
            self.load(today)
        return caught.value.faults

    def fault(self, today: date = TODAY) -> SpecFault:
        """The one fault that there is."""
        faults = self.faults(today)
        assert len(faults) == 1, faults
        return faults[0]


@pytest.fixture
def bundled(root: Path) -> Text:
    return Text((root / "platform.yaml").read_text())


@pytest.fixture
def text() -> Callable[[str], Text]:
    return Text
