"""The real Pulumi engine, through its Automation API: the same programs, in this process, against the CLI's engine.

State is in files below the state folder unless PULUMI_BACKEND_URL names another backend. The passphrase that encrypts
the state's secrets reaches the CLI in its environment, never on a command line.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infra.engines.protocol import Outcome, Stack
from infra.program.stacks import PROJECT
from vitalops.errors import RemoteError, UsageError
from vitalops.ports.progress import Progress


def on_path() -> bool:
    """Whether the Pulumi CLI can be run."""
    return shutil.which("pulumi") is not None


class PulumiEngine:
    """Implements `Engine`. `folder` keeps the state and, where the CLI is not on PATH, the CLI itself."""

    name = "pulumi"

    def __init__(self, folder: Path, passphrase: str) -> None:
        self._folder = folder
        self._passphrase = passphrase

    def preview(self, stack: Stack) -> Outcome:
        began = time.monotonic()
        lines: list[str] = []
        self._run(lambda: self._stack(stack).preview(diff=True, color="never", on_output=lines.append))
        return Outcome(stack.name, (), time.monotonic() - began, "\n".join(lines))

    def up(self, stack: Stack, progress: Progress) -> Outcome:
        began = time.monotonic()
        lines: list[str] = []

        def told(line: str) -> None:
            lines.append(line)
            progress.step(stack.name, line.strip())

        self._run(lambda: self._stack(stack).up(color="never", show_secrets=False, on_output=told))
        seconds = time.monotonic() - began
        progress.done(stack.name, seconds)
        return Outcome(stack.name, (), seconds, "\n".join(lines))

    def destroy(self, stack: Stack, progress: Progress) -> Outcome:
        began = time.monotonic()
        lines: list[str] = []

        def told(line: str) -> None:
            lines.append(line)
            progress.step(stack.name, line.strip())

        self._run(lambda: self._stack(stack).destroy(color="never", show_secrets=False, on_output=told))
        seconds = time.monotonic() - began
        progress.done(stack.name, seconds)
        return Outcome(stack.name, (), seconds, "\n".join(lines))

    def outputs(self, stack: Stack) -> Mapping[str, Any]:
        found = self._run(lambda: self._stack(stack).outputs())
        return {name: output.value for name, output in found.items() if not output.secret}

    def _stack(self, stack: Stack) -> Any:
        from pulumi import automation

        backend = self._folder / "state"
        work = self._folder / "work" / stack.name
        for folder in (backend, work):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        options = automation.LocalWorkspaceOptions(
            work_dir=str(work),
            env_vars={
                "PULUMI_CONFIG_PASSPHRASE": self._passphrase,
                "PULUMI_BACKEND_URL": os.environ.get("PULUMI_BACKEND_URL") or f"file://{backend}",
                "PULUMI_SKIP_UPDATE_CHECK": "true",
            },
            secrets_provider="passphrase",
            pulumi_command=self._command(),
        )
        made = automation.create_or_select_stack(
            stack.name, project_name=PROJECT, program=stack.program, opts=options
        )
        # Nothing may reach a cluster by way of the user's current context.
        made.set_config("pulumi:disable-default-providers[0]", automation.ConfigValue("*"), path=True)
        return made

    def _command(self) -> Any:
        from pulumi.automation import PulumiCommand

        if on_path():
            return PulumiCommand()
        return PulumiCommand.install(root=str(self._folder / "cli"))

    def _run(self, work: Any) -> Any:
        import subprocess

        from pulumi import automation

        try:
            return work()
        except automation.errors.ConcurrentUpdateError as error:
            raise UsageError(
                f"the stack is being changed by another run: {_reason(error)}",
                hint="wait for it to end, then run again",
            ) from error
        except (automation.errors.CommandError, automation.errors.InvalidVersionError) as error:
            raise RemoteError(f"Pulumi failed: {_reason(error)}", hint="its full account is above") from error
        except (OSError, subprocess.SubprocessError) as error:
            raise RemoteError(
                f"the Pulumi CLI can neither be run nor installed: {_reason(error)}",
                hint="install it from https://www.pulumi.com/docs/install/, or use --engine embedded",
            ) from error


def _reason(error: Exception) -> str:
    """The line of an error that says what is wrong."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return next(
        (line for line in lines if line.startswith("error:")), lines[0] if lines else type(error).__name__
    )[:300]
