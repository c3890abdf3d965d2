from __future__ import annotations

import os
from pathlib import Path

import pytest

from infra.local.images.definitions import LAYERS, Wheels
from infra.local.images.inputs import MachineInputs, code_files, digest_of_files
from vitalops.errors import UsageError


@pytest.fixture
def package(tmp_path: Path) -> Path:
    folder = tmp_path / "services"
    (folder / "audit").mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "audit" / "app.py").write_text("a = 1\n")
    return folder


def test_the_digest_changes_with_content_and_names(package: Path) -> None:
    digests = [digest_of_files(package)]
    (package / "audit" / "app.py").write_text("a = 2\n")
    digests.append(digest_of_files(package))
    (package / "audit" / "app.py").rename(package / "audit" / "main.py")
    digests.append(digest_of_files(package))
    (package / "audit" / "empty.sql").write_text("")
    digests.append(digest_of_files(package))
    assert len(set(digests)) == len(digests)


def test_content_that_moves_between_files_changes_the_digest(package: Path) -> None:
    (package / "audit" / "b.py").write_text("")
    before = digest_of_files(package)
    (package / "audit" / "app.py").write_text("")
    (package / "audit" / "b.py").write_text("a = 1\n")
    assert digest_of_files(package) != before


def test_tests_caches_and_times_do_not_change_the_digest(package: Path) -> None:
    before = digest_of_files(package)
    for name in (
        "tests/test_app.py",
        "audit/tests/test_app.py",
        "audit/__pycache__/app.cpython-313.pyc",
        ".env",
    ):
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text("other")
    os.utime(package / "audit" / "app.py", (1, 1))
    assert digest_of_files(package) == before
    assert [path.name for path in code_files(package)] == ["__init__.py", "app.py"]


def test_a_part_of_a_package_can_be_taken(tmp_path: Path) -> None:
    for name in ("__init__.py", "taken/__init__.py", "taken/left.py", "left/taken/a.py", "left.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x = 1\n")
    parts = ("__init__.py", "taken")
    found = [path.relative_to(tmp_path).as_posix() for path in code_files(tmp_path, parts)]
    assert found == ["__init__.py", "taken/__init__.py", "taken/left.py"]
    before = digest_of_files(tmp_path, parts)
    (tmp_path / "left.py").write_text("x = 2\n")
    assert digest_of_files(tmp_path, parts) == before
    (tmp_path / "taken/left.py").write_text("x = 2\n")
    assert digest_of_files(tmp_path, parts) != before


def test_the_services_requirements_are_pinned_by_hash_and_leave_the_suites_own_out() -> None:
    text = MachineInputs().requirements(Wheels("services"))
    names = {line.split("==")[0] for line in text.splitlines() if "==" in line}
    assert {"fastapi", "sqlalchemy", "psycopg", "authlib"} <= names
    assert not {"locust", "pulumi", "kubernetes", "patroni"} & names
    assert text.count("==") <= text.count("--hash=sha256:")


def test_the_databases_requirements_have_patroni() -> None:
    content = LAYERS["database-packages"].content
    assert isinstance(content, Wheels)
    assert "patroni==4." in MachineInputs().requirements(content)


def test_a_missing_lock_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no uv.lock in .*built from a checkout"):
        MachineInputs(project=tmp_path).requirements(Wheels("services"))
