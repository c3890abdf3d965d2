"""The one place where an exception becomes a line on stderr and an exit status."""

from __future__ import annotations

import errno
import json
import os
import select
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from itertools import pairwise
from typing import Any

import typer

from cli import context
from cli.output import paint
from vitalops.errors import ExitCode, SpecErrors, VitalopsError

INTERRUPTED = 130
"""128 + SIGINT, as shells report it."""
BROKEN_PIPE = 141
"""128 + SIGPIPE: the reader of our output went away."""

_SYSTEM_HINTS = {
    errno.ENOSPC: "free some disk space, then run the same command again",
    errno.EDQUOT: "free some of your disk quota, then run the same command again",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "this user may not do that; try as root",
    errno.EPERM: "this user may not do that; try as root",
    errno.EMFILE: "raise the limit of open files: ulimit -n 4096",
    errno.ECONNREFUSED: "nothing listens there: see `vitalops status`",
}


def guard(action: Callable[[], None], arguments: Sequence[str]) -> int:
    """Run `action` and return the exit status; every failure is told in one line on stderr."""
    try:
        action()
    except typer.Exit as exit_:
        return exit_.exit_code
    except VitalopsError as error:
        return _report(error.exit_code, type(error).__name__, error.message, error.hint, error)
    except typer.exceptions.TyperException as error:
        return _report_usage(error, arguments)
    except (KeyboardInterrupt, EOFError, typer.Abort):
        return _report(INTERRUPTED, "Interrupted", "interrupted", "run the same command again to go on")
    except BrokenPipeError as error:
        return BROKEN_PIPE if _reader_left() else _report_unexpected(error)
    except OSError as error:
        return _report_system(error)
    except Exception as error:
        return _report_unexpected(error)
    return ExitCode.PASS


def _report(status: int, kind: str, message: str, hint: str, error: VitalopsError | None = None) -> int:
    if context.current().output == "json":
        body: dict[str, Any] = {"kind": kind, "message": message, "hint": hint, "exit_code": int(status)}
        if isinstance(error, SpecErrors):
            body["faults"] = [asdict(fault) for fault in error.faults]
        print(json.dumps({"error": body}, ensure_ascii=False), file=sys.stderr)
        return status
    label = paint("error:", "red", sys.stderr)
    if isinstance(error, SpecErrors):
        for fault in error.faults:
            print(f"{label} {fault}", file=sys.stderr)
    else:
        line = " ".join(message.split())
        print(f"{label} {line} ({hint})" if hint else f"{label} {line}", file=sys.stderr)
    return status


def _report_usage(error: typer.exceptions.TyperException, arguments: Sequence[str]) -> int:
    if type(error).__name__ == "NoArgsIsHelpError":
        print(error.format_message(), file=sys.stderr)
        return ExitCode.USAGE
    if _asks_for_json(arguments):
        context.choose_output("json")
    where = getattr(error, "ctx", None)
    hint = f"see '{where.command_path} --help'" if where is not None else ""
    message = error.format_message().rstrip(".")
    return _report(ExitCode.USAGE, "UsageError", message[:1].lower() + message[1:], hint)


def _asks_for_json(arguments: Sequence[str]) -> bool:
    # The command line was not understood as a whole, so it is read for this one option.
    return "--output=json" in arguments or ("--output", "json") in pairwise(arguments)


def _report_system(error: OSError) -> int:
    """What the machine refused: no fault of ours, and mostly something that the user can do something about."""
    _trace(error)
    where = ", ".join(str(name) for name in (error.filename, error.filename2) if name is not None)
    message = error.strerror or str(error) or type(error).__name__
    hint = _SYSTEM_HINTS.get(error.errno or 0, f"{context.DEBUG_VARIABLE}=1 shows where it happened")
    return _report(ExitCode.REMOTE, type(error).__name__, f"{message}: {where}" if where else message, hint)


def _trace(error: Exception) -> None:
    if os.environ.get(context.DEBUG_VARIABLE):
        import traceback

        traceback.print_exception(error)


def _report_unexpected(error: Exception) -> int:
    _trace(error)
    hint = f"a fault of vitalops itself: {context.DEBUG_VARIABLE}=1 shows where"
    return _report(ExitCode.REMOTE, type(error).__name__, f"{type(error).__name__}: {error}", hint)


def _reader_left() -> bool:
    """Whether it is stdout's reader that went away (`vitalops ... | head`), and not some other pipe that broke."""
    try:
        descriptor = sys.stdout.fileno()
    except (OSError, ValueError):
        return False
    poll = select.poll()
    poll.register(descriptor, 0)
    if not any(event & select.POLLERR for _, event in poll.poll(0)):
        return False
    # Python flushes stdout once more at exit; that must not complain either.
    os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
    return True
