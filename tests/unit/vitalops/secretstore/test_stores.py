from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitalops.errors import UsageError, VitalopsError
from vitalops.secretstore import FileSecretStore, InMemorySecretStore, SecretStore


@pytest.fixture(params=["files", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> SecretStore:
    return FileSecretStore(tmp_path / "secrets") if request.param == "files" else InMemorySecretStore()


def never() -> str:
    raise AssertionError("must not be made again")


def test_a_secret_is_made_once(store: SecretStore) -> None:
    assert store.get("database/records") is None
    assert store.get_or_create("database/records", lambda: "s3cret") == "s3cret"
    assert store.get_or_create("database/records", never) == "s3cret"
    assert store.get("database/records") == "s3cret"
    assert store.names() == ("database/records",)


def test_a_maker_may_need_another_secret(store: SecretStore) -> None:
    def leaf() -> str:
        return "signed by " + store.get_or_create("ca-key", lambda: "ca")

    assert store.get_or_create("leaf-key", leaf) == "signed by ca"
    assert store.names() == ("ca-key", "leaf-key")


def test_a_maker_that_fails_leaves_nothing(store: SecretStore) -> None:
    def fail() -> str:
        raise RuntimeError("no entropy")

    with pytest.raises(RuntimeError):
        store.get_or_create("key", fail)
    assert store.get("key") is None
    assert store.names() == ()


def test_a_secret_can_be_replaced(store: SecretStore) -> None:
    store.replace("key", "one")
    store.replace("key", "two")
    assert store.get("key") == "two"


def test_no_value_shows(store: SecretStore) -> None:
    store.replace("key", "s3cret")
    assert "s3cret" not in repr(store) + str(store)


@pytest.mark.parametrize(
    "name", ["", "../x", "a/../b", "/etc/passwd", "A", ".hidden", "a//b", "a/", "a b", "a\n"]
)
def test_names_that_could_lead_elsewhere_are_refused(store: SecretStore, name: str) -> None:
    for call in (
        lambda: store.get(name),
        lambda: store.get_or_create(name, never),
        lambda: store.replace(name, "x"),
    ):
        with pytest.raises(UsageError):
            call()


def test_files_are_for_their_owner_only(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        FileSecretStore(tmp_path / "secrets").replace("a/b", "x")
    finally:
        os.umask(before)
    modes = {
        path.relative_to(tmp_path).as_posix(): stat.S_IMODE(path.stat().st_mode)
        for path in tmp_path.rglob("*")
    }
    assert modes == {"secrets": 0o700, "secrets/a": 0o700, "secrets/a/b": 0o600}


def test_a_file_that_others_can_read_is_not_used(tmp_path: Path) -> None:
    store = FileSecretStore(tmp_path)
    store.replace("key", "s3cret")
    (tmp_path / "key").chmod(0o644)
    with pytest.raises(VitalopsError, match="read by others") as caught:
        store.get("key")
    assert "chmod 600" in caught.value.hint
    assert "s3cret" not in str(caught.value)


def test_what_goes_wrong_on_disk_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(VitalopsError, match="secret key") as caught:
        FileSecretStore(tmp_path / "file").replace("key", "s3cret")
    assert "s3cret" not in str(caught.value)


@given(value=st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_any_text_comes_back_as_it_went(value: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    store = FileSecretStore(tmp_path_factory.mktemp("any"))
    assert store.get_or_create("key", lambda: value) == value
    assert store.get("key") == value


RACER = """
import os, sys
from pathlib import Path
from vitalops.secretstore import FileSecretStore
store = FileSecretStore(Path(sys.argv[1]))
sys.stdin.readline()
print("\\n".join(store.get_or_create(f"key-{i}", lambda: f"{os.getpid()}-{i}") for i in range(200)))
"""


def test_processes_that_create_at_once_agree(tmp_path: Path, root: Path) -> None:
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, str(tmp_path / "secrets")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=root,
        )
        for _ in range(4)
    ]
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    outputs = [racer.communicate(timeout=60)[0].splitlines() for racer in racers]
    assert [len(output) for output in outputs] == [200] * 4
    assert all(output == outputs[0] for output in outputs)
    assert len(FileSecretStore(tmp_path / "secrets").names()) == 200
    assert not list((tmp_path / "secrets").glob(".*")), "no temporary file is left"


def test_a_killed_creator_leaves_no_half_secret(tmp_path: Path, root: Path) -> None:
    script = """
import os, sys
from pathlib import Path
from vitalops.secretstore import FileSecretStore
os.link = lambda *a: os._exit(9)
FileSecretStore(Path(sys.argv[1])).get_or_create("key", lambda: "half")
"""
    killed = subprocess.run([sys.executable, "-c", script, str(tmp_path)], cwd=root, check=False)
    assert killed.returncode == 9
    store = FileSecretStore(tmp_path)
    assert store.get("key") is None
    assert store.names() == ()
    assert store.get_or_create("key", lambda: "whole") == "whole"
