from __future__ import annotations

from pathlib import Path

import pytest

from infra.local.images.faults import explain
from infra.local.images.runner import ToolFailed, complaint

MIRROR = "http://mirror.example.org/debian"
CASES = {
    "mirror refuses": (
        "mmdebstrap",
        "Err:1 http://mirror.example.org/debian trixie InRelease\n"
        "E: Failed to fetch http://mirror.example.org/debian/dists/trixie/InRelease  Could not connect to\n"
        "E: mmdebstrap failed to run",
        "cannot reach http://mirror.example.org/debian: mmdebstrap failed with status 1: E: Failed to fetch",
    ),
    "mirror unknown": ("mmdebstrap", "  Could not resolve 'mirror.example.org'", "cannot reach"),
    "disk full in apt": (
        "mmdebstrap",
        "  Write error - write (28: No space left on device)",
        "disk full at /cache",
    ),
    "disk full in buildah": (
        "buildah",
        "Error: writing blob: no space left on device",
        "disk full at /cache",
    ),
    "quota": ("buildah", "Error: disk quota exceeded", "disk full at /cache"),
    "old keys": (
        "mmdebstrap",
        "The following signatures could not be verified: NO_PUBKEY 6ED0E7B82643E131",
        "keyring",
    ),
    "package index": (
        "uv",
        "error: Request failed after 3 retries\n  error sending request for url",
        "cannot reach",
    ),
    "other hash": ("uv", "error: Hash mismatch for `fastapi==1`", "another hash than uv.lock pins"),
    "registry refuses": ("buildah", "Error: authentication required", "buildah login"),
    "anything else": (
        "cc",
        "pause.c:1:1: error: expected ';'\nsecond",
        "cc failed with status 1: pause.c:1:1",
    ),
}


@pytest.mark.parametrize(("tool", "said", "expected"), CASES.values(), ids=CASES)
def test_one_line_says_what_and_where(tool: str, said: str, expected: str) -> None:
    error = explain(ToolFailed([f"/usr/bin/{tool}"], 1, said), "image base", Path("/cache"), remote=MIRROR)
    assert expected in str(error)
    assert str(error).startswith("image base: ")
    assert "\n" not in str(error)


def test_nothing_is_said_to_be_unreachable_when_nothing_was_fetched() -> None:
    error = explain(ToolFailed(["ctr"], 1, "ctr: connection refused"), "load", Path("/run"), remote="")
    assert str(error) == "load: ctr failed with status 1: ctr: connection refused"


def test_a_silent_program_is_said_to_be_silent() -> None:
    assert complaint("\n \n") == "it gave no reason"
    assert complaint("one\ntwo\n") == "two"
