"""Official releases over a transport of the test's own."""

from __future__ import annotations

import hashlib
import io
import tarfile
import urllib.error
import zipfile
from pathlib import Path

import pytest

from infra.local.toolchain.download import Downloader, NotAvailable, published_checksum
from infra.local.toolchain.spec import Download, Group
from vitalops.errors import RemoteError
from vitalops.ports.progress import RecordedProgress

BINARY = b"\x7fELF the tool"


class Server:
    """Answers from a mapping of URL to content; hosts in `down` do not answer at all."""

    def __init__(self, files: dict[str, bytes], down: tuple[str, ...] = ()) -> None:
        self.files = files
        self.down = down
        self.asked: list[str] = []

    def __call__(self, url: str) -> io.BytesIO:
        self.asked.append(url)
        if any(host in url for host in self.down):
            raise urllib.error.URLError("no route to host")
        if url not in self.files:
            raise urllib.error.HTTPError(url, 404, "Not Found", None, None)  # pyright: ignore[reportArgumentType]
        return io.BytesIO(self.files[url])


def group(tmp_path: Path, *tools: str, archive: bool = False) -> Group:
    base = "https://releases.test/v{version}/"
    name = "all-{arch}.tar.gz" if archive else "{arch}/{tool}"
    download = Download(f"{base}{name}", f"{base}{name}.sha256", "bin/{tool}" if archive else "")
    return Group("tools", "regions", "1.0", tools, "tool", tmp_path, download=download)


def digest(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest().encode()


def test_binaries_are_verified_and_executable(tmp_path: Path) -> None:
    server = Server(
        {
            f"https://releases.test/v1.0/amd64/{tool}{suffix}": content
            for tool in ("one", "two")
            for suffix, content in (("", BINARY), (".sha256", digest(BINARY)))
        }
    )
    Downloader(server, enabled=True).fetch(
        group(tmp_path, "one", "two"), "amd64", tmp_path, RecordedProgress()
    )
    for tool in ("one", "two"):
        assert (tmp_path / tool).read_bytes() == BINARY
        assert (tmp_path / tool).stat().st_mode & 0o111


def test_tools_are_taken_out_of_an_archive(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name in ("bin/one", "bin/unwanted"):
            entry = tarfile.TarInfo(name)
            entry.size = len(BINARY)
            tar.addfile(entry, io.BytesIO(BINARY))
    url = "https://releases.test/v1.0/all-amd64.tar.gz"
    listing = digest(packed.getvalue()) + b"  all-amd64.tar.gz\n"
    server = Server({url: packed.getvalue(), f"{url}.sha256": listing})
    Downloader(server, enabled=True).fetch(
        group(tmp_path, "one", archive=True), "amd64", tmp_path, RecordedProgress()
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one"]
    assert (tmp_path / "one").read_bytes() == BINARY


def test_a_zip_file_is_verified_as_a_whole(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("one-amd64", BINARY)
    url = "https://releases.test/v1.0/one-amd64.zip"
    server = Server(
        {
            url: packed.getvalue(),
            "https://releases.test/v1.0/SUMS": digest(packed.getvalue()) + b"  one-amd64.zip\n",
        }
    )
    base = "https://releases.test/v{version}/"
    download = Download(f"{base}one-{{arch}}.zip", f"{base}SUMS", "one-{arch}")
    zipped = Group("tools", "telemetry", "1.0", ("one",), "tool", tmp_path, download=download)
    Downloader(server, enabled=True).fetch(zipped, "amd64", tmp_path, RecordedProgress())
    assert [path.name for path in tmp_path.iterdir()] == ["one"]
    assert (tmp_path / "one").read_bytes() == BINARY


@pytest.mark.parametrize("published", [BINARY, b"something else"])
def test_a_release_may_publish_the_checksums_of_its_members(tmp_path: Path, published: bytes) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        entry = tarfile.TarInfo("bin/one")
        entry.size = len(BINARY)
        tar.addfile(entry, io.BytesIO(BINARY))
    url = "https://releases.test/v1.0/all-amd64.tar.gz"
    server = Server({url: packed.getvalue(), f"{url}.sha256": digest(published) + b" *release/bin/one\n"})
    fetch = Downloader(server, enabled=True).fetch
    if published == BINARY:
        fetch(group(tmp_path, "one", archive=True), "amd64", tmp_path, RecordedProgress())
        assert (tmp_path / "one").read_bytes() == BINARY
    else:
        with pytest.raises(RemoteError, match="SHA-256"):
            fetch(group(tmp_path, "one", archive=True), "amd64", tmp_path, RecordedProgress())
        assert not (tmp_path / "one").exists()


def test_a_wrong_checksum_is_an_error_and_not_a_reason_to_build(tmp_path: Path) -> None:
    url = "https://releases.test/v1.0/amd64/one"
    server = Server({url: b"something else", f"{url}.sha256": digest(BINARY)})
    with pytest.raises(RemoteError, match="SHA-256"):
        Downloader(server, enabled=True).fetch(group(tmp_path, "one"), "amd64", tmp_path, RecordedProgress())
    assert not (tmp_path / "one").exists()


def test_a_silent_host_is_asked_once_in_a_run(tmp_path: Path) -> None:
    server = Server({}, down=("releases.test",))
    downloader = Downloader(server, enabled=True)
    for _ in range(3):
        with pytest.raises(NotAvailable):
            downloader.fetch(group(tmp_path, "one", "two"), "amd64", tmp_path, RecordedProgress())
    assert len(server.asked) == 1


def test_a_release_without_a_published_checksum_is_not_used(tmp_path: Path) -> None:
    url = "https://releases.test/v1.0/amd64/one"
    server = Server({url: BINARY, f"{url}.sha256": b"see the other page"})
    with pytest.raises(NotAvailable):
        Downloader(server, enabled=True).fetch(group(tmp_path, "one"), "amd64", tmp_path, RecordedProgress())
    assert server.asked == [f"{url}.sha256"]


def test_switched_off_nothing_is_asked(tmp_path: Path) -> None:
    server = Server({})
    with pytest.raises(NotAvailable):
        Downloader(server, enabled=False).fetch(group(tmp_path, "one"), "amd64", tmp_path, RecordedProgress())
    assert server.asked == []


HASH = "ab" * 32


@pytest.mark.parametrize(
    ("listing", "expected"),
    [
        (HASH, HASH),
        (f"{HASH}\n", HASH),
        (f"{HASH.upper()}  tool.tgz", HASH),
        (f"{HASH} *tool.tgz", HASH),
        (f"{'cd' * 32}  other.tgz\n{HASH}  ./tool.tgz\n", HASH),
        (f"{HASH}  other.tgz", None),
        ("", None),
        ("not a hash", None),
    ],
)
def test_published_checksum(listing: str, expected: str | None) -> None:
    assert published_checksum(listing, "tool.tgz") == expected
