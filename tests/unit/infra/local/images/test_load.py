from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import pytest

from infra.local.images.build import BuiltImage
from infra.local.images.load import Containerd, load, load_region, missing_blobs, stale, write_archive
from infra.local.images.runner import ToolFailed
from infra.local.images.store import ImageStore, Record
from tests.unit.infra.local.images.conftest import write_image
from vitalops.errors import RemoteError, UsageError
from vitalops.paths import Paths
from vitalops.ports.progress import RecordedProgress, SilentProgress


class FakeContainerd:
    """A Runner that answers as `ctr` of one region would: names, blobs and containers held in memory."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.digests: dict[str, str] = {}
        """Manifest digests, where they matter."""
        self.blobs: set[str] = set()
        self.used: set[str] = set()
        self.collected: set[str] = set()
        """Blobs that vanish after they were listed."""
        self.imports: list[set[str]] = []
        self.refusal = ""

    def run(
        self,
        argv: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        feed: Callable[[BinaryIO], None] | None = None,
    ) -> str:
        match argv[5:]:
            case ["images", "ls", *_]:
                rows = [f"{name} application/json {self.digests.get(name, name)} 1 B" for name in self.names]
                return "\n".join(["REF TYPE DIGEST SIZE", *rows])
            case ["content", "ls", *_]:
                listed = "\n".join(self.blobs)
                self.blobs -= self.collected
                return listed
            case ["containers", "ls"]:
                return "\n".join(["CONTAINER IMAGE RUNTIME", *(f"id {name} runc" for name in self.used)])
            case ["images", "rm", *names]:
                self.names -= set(names)
                return ""
            case ["images", "import", *_]:
                assert feed is not None
                return self._import(argv, feed)
            case other:
                raise AssertionError(f"ctr {other} is not expected")

    def _import(self, argv: Sequence[str], feed: Callable[[BinaryIO], None]) -> str:
        if self.refusal:
            raise ToolFailed(argv, 1, self.refusal)
        stream = io.BytesIO()
        feed(stream)
        stream.seek(0)
        with tarfile.open(fileobj=stream) as archive:
            contents = {member.name: archive.extractfile(member) for member in archive}
            sent = {f"sha256:{name.rpartition('/')[2]}" for name in contents if name.startswith("blobs/")}
            index = json.loads(contents["index.json"].read())  # type: ignore[union-attr]
        self.imports.append(sent)
        for entry in index["manifests"]:
            store = ImageStore(self.root)
            needed = {entry["digest"], *store.manifest(entry["digest"]).blobs}
            if not needed <= sent | self.blobs:
                raise ToolFailed(argv, 1, "ctr: content digest not found")
            self.names.add(entry["annotations"]["io.containerd.image.name"])
        self.blobs |= sent
        return ""

    root: Path = Path()


@pytest.fixture
def containerd(tmp_path: Path) -> FakeContainerd:
    fake = FakeContainerd()
    fake.root = tmp_path
    return fake


@pytest.fixture
def client(containerd: FakeContainerd, tmp_path: Path) -> Containerd:
    return Containerd("ctr", tmp_path / "containerd.sock", containerd)


def _image(root: Path, name: str, key: str) -> BuiltImage:
    store = ImageStore(root)
    digest = write_image(store.layout, f"{name}:{key}")
    size = store.manifest(digest).total
    store.keep(Record(name, key, digest, {}, size, 1.0))
    return BuiltImage(name, f"localhost/vitalops/{name}:{key}", digest, store.layout, size, 1.0, True)


def test_a_region_gets_everything_once_and_then_nothing(
    tmp_path: Path, containerd: FakeContainerd, client: Containerd
) -> None:
    images = [_image(tmp_path, "services", "a"), _image(tmp_path, "gateway", "b")]
    progress = RecordedProgress()
    first = load_region("fr-par", client, images, progress)
    assert set(first.references) == containerd.names == {image.reference for image in images}
    assert progress.finished == ["images into fr-par"]
    second = load_region("fr-par", client, images, SilentProgress())
    assert second.references == ()
    assert second.sent == 0
    assert len(containerd.imports) == 1


def test_only_blobs_that_the_region_lacks_are_sent(
    tmp_path: Path, containerd: FakeContainerd, client: Containerd
) -> None:
    load_region("fr-par", client, [_image(tmp_path, "services", "a")], SilentProgress())
    changed = _image(tmp_path, "services", "b")
    loaded = load_region("fr-par", client, [changed], SilentProgress())
    assert loaded.references == (changed.reference,)
    first, second = containerd.imports
    shared = first & set(ImageStore(tmp_path).manifest(changed.digest).blobs)
    assert len(shared) == 1
    assert shared & second == set()


def test_everything_is_sent_when_a_blob_vanished_since_it_was_listed(
    tmp_path: Path, containerd: FakeContainerd, client: Containerd
) -> None:
    load_region("fr-par", client, [_image(tmp_path, "services", "a")], SilentProgress())
    containerd.collected = set(containerd.blobs)
    changed = _image(tmp_path, "services", "b")
    assert load_region("fr-par", client, [changed], SilentProgress()).references == (changed.reference,)


def test_versions_that_nothing_needs_are_removed_from_the_region(
    tmp_path: Path, containerd: FakeContainerd, client: Containerd
) -> None:
    containerd.names = {
        "localhost/vitalops/services:forgotten",
        "localhost/vitalops/services:running",
        "localhost/vitalops/gateway:forgotten",
        "docker.io/library/services:forgotten",
    }
    containerd.used = {"localhost/vitalops/services:running"}
    _image(tmp_path, "services", "previous")
    containerd.names.add("localhost/vitalops/services:previous")
    load_region("fr-par", client, [_image(tmp_path, "services", "now")], SilentProgress())
    assert containerd.names == {
        "localhost/vitalops/services:now",
        "localhost/vitalops/services:previous",
        "localhost/vitalops/services:running",
        "localhost/vitalops/gateway:forgotten",
        "docker.io/library/services:forgotten",
    }


def test_nothing_is_stale_among_the_current(tmp_path: Path) -> None:
    image = _image(tmp_path, "services", "now")
    assert stale({image.reference: image.digest}, [image], frozenset()) == []


def test_a_version_goes_with_the_reference_that_the_kubelet_knows_it_by(tmp_path: Path) -> None:
    image = _image(tmp_path, "services", "now")
    there = {
        image.reference: "digest-1",
        "sha256:config-1": "digest-1",
        "localhost/vitalops/services:old": "digest-2",
        "sha256:config-2": "digest-2",
        "localhost/vitalops/services:twin": "digest-1",
        "sha256:other": "digest-3",
    }
    assert stale(there, [image], frozenset()) == [
        "localhost/vitalops/services:old",
        "localhost/vitalops/services:twin",
        "sha256:config-2",
    ]


def test_the_archive_names_images_by_their_full_reference(tmp_path: Path) -> None:
    image = _image(tmp_path, "services", "a")
    stream = io.BytesIO()
    write_archive(stream, [image], missing_blobs([image], frozenset()))
    stream.seek(0)
    with tarfile.open(fileobj=stream) as archive:
        index = archive.extractfile("index.json")
        assert index is not None
        (entry,) = json.load(index)["manifests"]
        assert archive.getmember(f"blobs/{entry['digest'].replace(':', '/')}").size == entry["size"]
    assert entry["annotations"] == {"io.containerd.image.name": image.reference}


def test_a_refusal_is_one_line(tmp_path: Path, containerd: FakeContainerd, client: Containerd) -> None:
    containerd.refusal = "ctr: failed to ingest: no space left on device"
    with pytest.raises(RemoteError, match="images into fr-par: disk full at"):
        load_region("fr-par", client, [_image(tmp_path, "services", "a")], SilentProgress())


def test_a_blob_gone_from_the_cache_says_what_to_do(
    tmp_path: Path, containerd: FakeContainerd, client: Containerd
) -> None:
    image = _image(tmp_path, "services", "a")
    store = ImageStore(tmp_path)
    store.blob(image.digest).unlink()
    with pytest.raises(RemoteError, match="vitalops images build"):
        load_region("fr-par", client, [image], SilentProgress())


def test_a_region_that_does_not_run_is_named(tmp_path: Path, containerd: FakeContainerd) -> None:
    paths = Paths(cache=tmp_path, state=tmp_path, run=tmp_path)
    with pytest.raises(UsageError, match="region fr-par does not run"):
        load(["fr-par"], {}, SilentProgress(), paths=paths, ctr="ctr", runner=containerd)
