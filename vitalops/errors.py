"""The one tree of errors that users meet, and the exit code of each.

    VitalopsError            3  something remote or local failed
    ├── UsageError           2  the command was called in a way that cannot work
    ├── SpecErrors           2  platform.yaml is wrong (holds every SpecError at once)
    ├── GateFailed           1  a check, gate or verification found something
    ├── DriftError           1  what runs is not what is declared
    └── RemoteError          3  a cluster, registry or process did not do what was asked

Messages are one line: what, where, what to do.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class ExitCode(IntEnum):
    """What the process's exit status says."""

    PASS = 0
    FINDING = 1
    USAGE = 2
    REMOTE = 3


class VitalopsError(Exception):
    """Base of every error that is meant for the user; `hint` says what to do next."""

    exit_code: ExitCode = ExitCode.REMOTE

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class UsageError(VitalopsError):
    """The command cannot work as it was called: no root, an unknown region, a taken port."""

    exit_code = ExitCode.USAGE


class GateFailed(VitalopsError):
    """A verification or gate found something wrong; the message names the step."""

    exit_code = ExitCode.FINDING


class DriftError(VitalopsError):
    """What runs differs from what is declared."""

    exit_code = ExitCode.FINDING


class RemoteError(VitalopsError):
    """Something outside this process failed: a cluster, a registry, a child process."""

    exit_code = ExitCode.REMOTE


@dataclass(frozen=True, slots=True, order=True)
class SpecFault:
    """One fault in a platform file.

    `pointer` is an RFC 6901 JSON pointer, `line` is 1-based (0 where unknown).
    """

    file: str
    line: int
    pointer: str
    problem: str
    hint: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        line = f"{where}: {self.pointer or '/'}: {self.problem}; {self.hint}"
        # A key of the file may hold anything: what a terminal would act on is not shown.
        return "".join(character if character.isprintable() else "\ufffd" for character in line)


class SpecErrors(VitalopsError):
    """Every fault of a platform file at once, in the order of its lines."""

    exit_code = ExitCode.USAGE

    def __init__(self, faults: tuple[SpecFault, ...]) -> None:
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = faults
