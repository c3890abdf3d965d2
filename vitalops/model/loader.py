"""Reading platform.yaml."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from vitalops.errors import SpecErrors, SpecFault, UsageError
from vitalops.model.platform import Platform


def load_platform(path: Path, today: date) -> Platform:
    """The platform that `path` describes. Raises SpecErrors with its faults, UsageError when unreadable."""
    try:
        raw: Any = yaml.safe_load(path.read_text())
    except OSError as error:
        raise UsageError(
            f"cannot read {path}: {error.strerror}", hint="name the file with --platform"
        ) from None
    for section in ("regions", "pairs", "services"):
        for name, value in (raw.get(section) or {}).items():
            value["name"] = name
    try:
        return Platform.model_validate(raw)
    except ValidationError as error:
        raise SpecErrors(
            tuple(
                SpecFault(str(path), 0, "/" + "/".join(map(str, e["loc"])), e["msg"], "see `vitalops schema`")
                for e in error.errors()
            )
        ) from None
