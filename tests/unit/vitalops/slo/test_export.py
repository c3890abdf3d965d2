"""Rule files on disk: what is written, what is taken away, and what promtool's opinion leads to."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from vitalops.errors import GateFailed, UsageError
from vitalops.model.platform import Platform
from vitalops.slo.export import check_rules, write_rules
from vitalops.slo.rules import compile_rules


def program(folder: Path, body: str) -> str:
    path = folder / "promtool"
    path.write_text(f"#!{sys.executable}\nimport sys\n{body}\n")
    path.chmod(0o755)
    return str(path)


def test_each_region_has_a_folder(bundled: Platform, tmp_path: Path) -> None:
    paris, grasse = write_rules(bundled, ("fr-par", "fr-gra"), tmp_path / "new" / "rules")
    files = compile_rules(bundled, "fr-par")
    assert {path.name: path.read_text() for path in paris.folder.iterdir()} == files
    assert (paris.region, paris.folder.name, grasse.folder.name) == ("fr-par", "fr-par", "fr-gra")
    assert paris.size == sum(len(text.encode()) for text in files.values())
    assert paris.alerts > 50
    assert paris.records > 200


def test_rules_that_are_no_longer_compiled_go_and_other_files_stay(bundled: Platform, tmp_path: Path) -> None:
    (first,) = write_rules(bundled, ("fr-par",), tmp_path)
    (first.folder / "ours.yaml").write_text("groups: []\n")
    services = {name: each for name, each in bundled.services.items() if name != "payment"}
    (second,) = write_rules(bundled.model_copy(update={"services": services}), ("fr-par",), tmp_path)
    left = {path.name for path in first.folder.iterdir()}
    assert left == {*second.files, "ours.yaml"}
    assert "payment.yaml" not in left


def test_a_folder_that_cannot_be_is_a_usage_error(bundled: Platform, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(UsageError, match=r"cannot write .*taken"):
        write_rules(bundled, ("fr-par",), tmp_path / "taken")


def test_promtool_is_given_every_file_of_every_region(bundled: Platform, tmp_path: Path) -> None:
    written = write_rules(bundled, ("fr-par", "fr-gra"), tmp_path / "rules")
    log = tmp_path / "asked"
    check_rules(program(tmp_path, f"open({str(log)!r}, 'a').write(' '.join(sys.argv[1:]) + '\\n')"), written)
    assert log.read_text().splitlines() == [f"check rules {' '.join(each.files)}" for each in written]


def test_what_promtool_refuses_fails_the_gate_by_name(bundled: Platform, tmp_path: Path) -> None:
    written = write_rules(bundled, ("fr-par",), tmp_path / "rules")
    refuses = program(
        tmp_path,
        "print('Checking audit.yaml'); print('  SUCCESS: 3 rules found')\n"
        "print('  FAILED:'); print('audit.yaml: 3:1: parse error', file=sys.stderr); sys.exit(1)",
    )
    with pytest.raises(
        GateFailed, match=r"refuses the rules of fr-par: FAILED: audit\.yaml: 3:1: parse error"
    ):
        check_rules(refuses, written)


def test_a_promtool_that_cannot_be_run_is_a_usage_error(bundled: Platform, tmp_path: Path) -> None:
    written = write_rules(bundled, ("fr-par",), tmp_path / "rules")
    with pytest.raises(UsageError, match="cannot be run"):
        check_rules(str(tmp_path / "absent"), written)
