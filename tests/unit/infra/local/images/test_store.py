from __future__ import annotations

import os
from pathlib import Path

import pytest

from infra.local.images.store import ImageStore, Record
from tests.unit.infra.local.images.conftest import write_image


@pytest.fixture
def store(tmp_path: Path) -> ImageStore:
    return ImageStore(tmp_path)


def _keep(store: ImageStore, name: str, key: str, age: int = 0) -> Record:
    digest = write_image(store.layout, f"{name}:{key}")
    record = Record(name, key, digest, {"base": "b", name: key}, store.manifest(digest).total, 1.5)
    store.keep(record)
    path = store.root / "built" / name / f"{key}.json"
    os.utime(path, (1_000_000 - age, 1_000_000 - age))
    return record


def test_a_kept_image_is_found(store: ImageStore) -> None:
    record = _keep(store, "services", "aaa")
    assert store.find("services", "aaa") == record
    assert store.find("services", "bbb") is None


def test_an_image_with_a_missing_or_cut_blob_is_not_found(store: ImageStore) -> None:
    record = _keep(store, "services", "aaa")
    blob = next(iter(store.manifest(record.digest).blobs))
    content = store.blob(blob).read_bytes()
    store.blob(blob).write_bytes(content[:-1])
    assert store.find("services", "aaa") is None
    store.blob(blob).unlink()
    assert store.find("services", "aaa") is None


def test_a_damaged_record_counts_as_not_built(store: ImageStore) -> None:
    _keep(store, "services", "aaa")
    for text in ("", "{}", "[]", '{"name": "services"'):
        (store.root / "built" / "services" / "aaa.json").write_text(text)
        assert store.find("services", "aaa") is None
        assert store.records() == []


def test_pruning_keeps_two_versions_of_each_image_and_what_they_share(store: ImageStore) -> None:
    for age, key in enumerate(("new", "previous", "old")):
        _keep(store, "services", key, age)
    gateway = _keep(store, "gateway", "only", 9)
    kept = store.prune()
    assert {(record.name, record.key) for record in kept} == {
        ("services", "new"),
        ("services", "previous"),
        ("gateway", "only"),
    }
    wanted = {digest for record in kept for digest in (record.digest, *store.manifest(record.digest).blobs)}
    assert {f"sha256:{path.name}" for path in (store.layout / "blobs" / "sha256").iterdir()} == wanted
    assert store.find("gateway", "only") == gateway
    assert store.find("services", "old") is None


def test_finding_an_image_counts_as_using_it(store: ImageStore) -> None:
    for age, key in enumerate(("new", "previous", "old")):
        _keep(store, "services", key, age)
    assert store.find("services", "old") is not None
    assert {record.key for record in store.prune()} == {"old", "new"}


def test_cleared_work_is_empty(store: ImageStore) -> None:
    folder = store.cleared_work("base")
    (folder / "left").mkdir()
    assert list(store.cleared_work("base").iterdir()) == []
    assert (store.work / "base").is_dir()
