"""What every command may ask about how it was called."""

from __future__ import annotations

import os
from contextvars import ContextVar
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from rich.console import Console

    from vitalops.model.platform import Platform

OutputFormat = Literal["text", "json"]

PLATFORM_VARIABLE = "VITALOPS_PLATFORM"
DEBUG_VARIABLE = "VITALOPS_DEBUG"
PLATFORM_FILE = "platform.yaml"


@dataclass(frozen=True, slots=True)
class CliContext:
    """The global options. `platform_path` is None until the user names a file."""

    named_platform: Path | None = None
    output: OutputFormat = "text"
    yes: bool = False

    @property
    def platform_path(self) -> Path:
        """The file named by --platform or VITALOPS_PLATFORM, else ./platform.yaml, else the bundled one."""
        if self.named_platform is not None:
            return self.named_platform
        named = os.environ.get(PLATFORM_VARIABLE)
        if named:
            return Path(named)
        here = Path(PLATFORM_FILE)
        return here if here.exists() else bundled_platform()

    @property
    def console(self) -> Console:
        """A rich console on stderr, where everything goes that is not a command's result."""
        from rich.console import Console

        return Console(stderr=True)

    def load_platform(self) -> Platform:
        """Read and check the platform file.

        Raises SpecErrors with every fault of the file, UsageError where it cannot be read.
        """
        from vitalops.model.loader import load_platform
        from vitalops.ports.clock import SystemClock, today

        return load_platform(self.platform_path, today(SystemClock()))


def bundled_platform() -> Path:
    """The reference platform: beside the packages in a checkout, inside `vitalops` when installed."""
    import vitalops

    package = Path(vitalops.__file__).parent
    installed = package / PLATFORM_FILE
    return installed if installed.exists() else package.parent / PLATFORM_FILE


_current: ContextVar[CliContext | None] = ContextVar("vitalops_cli_context", default=None)


def current() -> CliContext:
    """How the running command was called."""
    return _current.get() or CliContext()


def reset() -> None:
    """Forget the options of an earlier call in the same process."""
    _current.set(None)


def choose_platform(path: Path) -> None:
    _current.set(replace(current(), named_platform=path))


def choose_output(output: OutputFormat) -> None:
    _current.set(replace(current(), output=output))


def choose_yes() -> None:
    _current.set(replace(current(), yes=True))
