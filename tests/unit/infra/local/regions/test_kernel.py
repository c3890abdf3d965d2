"""The machine's settings come back as they were, whichever region's kubelet changed them."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.local.regions.kernel import SETTINGS, forget, remember, restore


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    for name in SETTINGS:
        file = tmp_path / "sys" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("0\n")
    return tmp_path / "sys"


def test_the_first_record_counts(proc: Path, tmp_path: Path) -> None:
    record = tmp_path / "record"
    remember(record, proc)
    (proc / "kernel/panic").write_text("10\n")
    remember(record, proc)
    restore(record, proc)
    assert (proc / "kernel/panic").read_text() == "0"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["record", "sys"]


def test_only_what_differs_is_written(proc: Path, tmp_path: Path) -> None:
    record = tmp_path / "record"
    remember(record, proc)
    (proc / "vm/panic_on_oom").chmod(0o400)
    restore(record, proc)
    assert (proc / "vm/panic_on_oom").read_text() == "0\n"


def test_after_the_last_region_the_next_start_looks_anew(proc: Path, tmp_path: Path) -> None:
    record = tmp_path / "record"
    remember(record, proc)
    forget(record)
    restore(record, proc)
    (proc / "kernel/panic").write_text("3\n")
    remember(record, proc)
    (proc / "kernel/panic").write_text("10\n")
    restore(record, proc)
    assert (proc / "kernel/panic").read_text() == "3"


def test_a_setting_that_the_kernel_lacks_is_left_out(proc: Path, tmp_path: Path) -> None:
    (proc / "kernel/keys/root_maxkeys").unlink()
    record = tmp_path / "record"
    remember(record, proc)
    restore(record, proc)
    assert not (proc / "kernel/keys/root_maxkeys").exists()
