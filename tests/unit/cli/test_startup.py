"""Starting costs little, because little is imported; and shells can complete what is typed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = frozenset(
    {
        "pydantic", "pydantic_core", "rich", "yaml", "cryptography", "httpx", "asyncio", "ssl", "kubernetes", "pulumi",
        "pulumi_kubernetes", "grpc", "locust", "gevent", "livekit", "numpy", "jinja2", "infra", "services", "runbooks",
        "loadtests", "chaos", "dashboards",
    }
)  # fmt: skip


def loaded_after(root: Path, *arguments: str) -> set[str]:
    script = (
        "import sys; from cli.main import run; status = run(sys.argv[1:]);"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}), file=sys.stderr); sys.exit(status)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], cwd=root, capture_output=True, text=True, check=True
    )
    return set(done.stderr.splitlines()[-1].split())


@pytest.mark.parametrize("arguments", [["--help"], ["--version"]])
def test_help_imports_nothing_heavy_and_no_command(root: Path, arguments: list[str]) -> None:
    modules = loaded_after(root, *arguments)
    assert "typer" in modules
    assert modules.isdisjoint(HEAVY), modules & HEAVY


@pytest.mark.parametrize(
    "command",
    [
        "up",
        "preview",
        "status",
        "verify",
        "down",
        "render",
        "regions",
        "images",
        "toolchain",
        "validate",
        "halt",
        "evidence",
    ],
)
def test_a_commands_help_imports_no_heavy_library(root: Path, command: str) -> None:
    assert loaded_after(root, command, "--help").isdisjoint(
        {"kubernetes", "pulumi", "pulumi_kubernetes", "grpc", "locust", "gevent", "livekit", "rich"}
    )


def complete(root: Path, words: str, shell: str = "bash") -> list[str]:
    """What the shell would offer; `words` ends where the cursor is."""
    typed = words.split(" ")
    environment = {
        **os.environ,
        "_VITALOPS_COMPLETE": f"complete_{shell}",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(typed) - 1),
    }
    done = subprocess.run(
        [sys.executable, "-m", "cli"], cwd=root, env=environment, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    return done.stdout.split()


def test_commands_options_and_values_are_completed(root: Path) -> None:
    assert complete(root, "vitalops re") == ["render", "regions"]
    assert "start" in complete(root, "vitalops regions st")
    assert complete(root, "vitalops validate --ou") == ["--output"]
    assert complete(root, "vitalops validate --output ") == ["text", "json"]


def test_names_of_the_platform_file_are_completed(root: Path, tmp_path: Path) -> None:
    assert complete(root, "vitalops regions start fr-") == [
        "fr-par",
        "fr-gra",
    ]
    assert complete(root, "vitalops verify --pair ") == ["france", "switzerland"]
    mine = tmp_path / "mine.yaml"
    mine.write_text("regions: {de-fra: {}}\n")
    assert complete(root, f"vitalops --platform {mine} regions start ") == ["de-fra"]
    mine.write_text("regions: [")
    assert complete(root, f"vitalops --platform {mine} regions start ") == []
    assert complete(root, f"vitalops --platform {tmp_path} regions start ") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_script_can_be_shown(root: Path, shell: str) -> None:
    environment = {**os.environ, "_VITALOPS_COMPLETE": f"source_{shell}"}
    done = subprocess.run(
        [sys.executable, "-m", "cli"], cwd=root, env=environment, capture_output=True, text=True, check=False
    )
    assert "_VITALOPS_COMPLETE" in done.stdout
    assert done.stderr == ""
