"""`vitalops validate` and `vitalops schema`."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass

from cli import context
from cli.examples import examples
from cli.output import emit, paint


@dataclass(frozen=True, slots=True)
class Validation:
    """What a sound file declares."""

    file: str
    platform: str
    regions: tuple[str, ...]
    pairs: tuple[str, ...]
    services: tuple[str, ...]
    warnings: tuple[dict[str, str | int], ...]


@examples(
    "vitalops validate",
    "vitalops --platform mine.yaml validate",
    "vitalops validate --output json | jq .warnings",
)
def validate() -> None:
    """Check a platform file and report all of its faults at once.

    Exits with 0 when the file is sound and with 2 when it is not. What is sound but needs attention soon, such as a
    certification that expires within 30 days, is a warning.
    """
    from dataclasses import asdict

    from vitalops.model.loader import load_platform_with_warnings
    from vitalops.ports.clock import SystemClock, today

    path = context.current().platform_path
    loaded = load_platform_with_warnings(path, today(SystemClock()))
    if context.current().output == "text":
        for warning in loaded.warnings:
            print(f"{paint('warning:', 'yellow', sys.stderr)} {warning}", file=sys.stderr)
    platform = loaded.platform
    emit(
        Validation(
            file=str(path),
            platform=platform.name,
            regions=tuple(platform.regions),
            pairs=tuple(platform.pairs),
            services=tuple(platform.services),
            warnings=tuple(asdict(warning) for warning in loaded.warnings),
        ),
        _summary,
    )


def _summary(validation: Validation) -> str:
    counts = (
        f"{len(validation.regions)} regions, {len(validation.pairs)} failover pairs, "
        f"{len(validation.services)} services"
    )
    return f"{paint('ok', 'green')}  {validation.file}: platform {validation.platform}, {counts}"


@examples(
    "vitalops schema > platform.schema.json",
    "# then, as the first line of platform.yaml:",
    "# yaml-language-server: $schema=platform.schema.json",
)
def schema() -> None:
    """Print the JSON Schema of platform.yaml, for editors.

    An editor that knows it completes keys and marks faults while they are typed. `vitalops validate` checks more:
    that names exist, and that data stays where the law lets it.
    """
    from vitalops.model.schema import file_schema

    print(json.dumps(file_schema(), indent=2, ensure_ascii=False))
