from __future__ import annotations

import io
import tarfile
from pathlib import Path

from infra.local.images.definitions import UNWANTED
from infra.local.images.layers import filter_debian, pack_tree, pattern_of

MTIME = 1_700_000_000


def _archive(path: Path, *entries: tarfile.TarInfo | tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, "w") as archive:
        for entry in entries:
            if isinstance(entry, tarfile.TarInfo):
                archive.addfile(entry)
            else:
                archive.addfile(entry[0], io.BytesIO(entry[1]))
    return path


def _file(
    name: str, content: bytes = b"", *, mode: int = 0o644, uid: int = 0
) -> tuple[tarfile.TarInfo, bytes]:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.uid, entry.gid = len(content), mode, uid, uid
    return entry, content


def _special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname, entry.mode = kind, target, 0o755
    return entry


def _members(path: Path) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(path) as archive:
        return {member.name: member for member in archive}


def test_privileges_devices_and_times_are_taken_off(tmp_path: Path) -> None:
    source = _archive(
        tmp_path / "root.tar",
        _special("./usr", tarfile.DIRTYPE),
        _file("./usr/su", b"x", mode=0o4755),
        _file("./usr/write", b"x", mode=0o2755),
        _special("./usr/null", tarfile.CHRTYPE),
    )
    filter_debian(source, tmp_path / "layer.tar", (), None, mtime=MTIME)
    members = _members(tmp_path / "layer.tar")
    assert set(members) == {"usr", "usr/su", "usr/write"}
    assert members["usr/su"].mode == members["usr/write"].mode == 0o755
    assert {member.mtime for member in members.values()} == {MTIME}


def test_over_a_parent_only_what_differs_is_written(tmp_path: Path) -> None:
    parent = tmp_path / "parent"
    (parent / "etc").mkdir(parents=True, mode=0o755)
    owner = parent.stat().st_uid
    for name, content in {"same": b"1", "changed": b"1", "mode": b"1"}.items():
        (parent / "etc" / name).write_bytes(content)
        (parent / "etc" / name).chmod(0o644)
    (parent / "etc" / "link").symlink_to("same")
    (parent / "etc" / "moved").symlink_to("same")
    folder = _special("./etc", tarfile.DIRTYPE)
    links = [
        _special("./etc/link", tarfile.SYMTYPE, "same"),
        _special("./etc/moved", tarfile.SYMTYPE, "changed"),
    ]
    for entry in (folder, *links):
        entry.uid = entry.gid = owner
    source = _archive(
        tmp_path / "root.tar",
        folder,
        _file("./etc/same", b"1", uid=owner),
        _file("./etc/changed", b"2", uid=owner),
        _file("./etc/mode", b"1", mode=0o600, uid=owner),
        _file("./etc/new", b"1", uid=owner),
        _file("./etc/owner", b"1", uid=owner + 1),
        *links,
    )
    written = filter_debian(source, tmp_path / "layer.tar", (), parent, mtime=MTIME)
    assert set(_members(tmp_path / "layer.tar")) == {
        "etc/changed",
        "etc/mode",
        "etc/new",
        "etc/owner",
        "etc/moved",
    }
    assert written == 5


def test_what_no_image_needs_is_left_out_and_what_the_law_asks_for_is_kept() -> None:
    unwanted = pattern_of(UNWANTED)
    out = (
        "usr/share/man/man1/ls.1.gz",
        "usr/share/doc/bash/changelog.gz",
        "etc/ssl/private/ssl-cert-snakeoil.key",
        "etc/passwd-",
        "usr/lib/python3.13/__pycache__/os.cpython-313.pyc",
        "var/lib/apt/lists/x",
    )
    kept = (
        "usr/share/doc/bash/copyright",
        "etc/passwd",
        "etc/ssl/certs/ca-certificates.crt",
        "usr/lib/python3.13/os.py",
        "usr/lib/python3.13/unittest/case.py",
        "var/lib/dpkg/status",
        "tmp",
        "run",
        "usr/share/zoneinfo/Europe/Paris",
    )
    assert [name for name in out if not unwanted.match(name)] == []
    assert [name for name in kept if unwanted.match(name)] == []


def test_no_pattern_matches_nothing() -> None:
    assert pattern_of(()).match("anything") is None


def test_a_packed_tree_is_the_same_whatever_its_times_and_owners_mask(tmp_path: Path) -> None:
    def make(name: str, mode: int) -> bytes:
        root = tmp_path / name
        (root / "package").mkdir(parents=True)
        (root / "package" / "a.py").write_text("a")
        (root / "package" / "a.py").chmod(mode)
        (root / "package" / "tool").write_text("b")
        (root / "package" / "tool").chmod(0o700)
        target = tmp_path / f"{name}.tar"
        files = [root / "package" / "a.py", root / "package" / "tool"]
        pack_tree(root, files, target, "/opt/x", mtime=MTIME)
        return target.read_bytes()

    assert make("first", 0o600) == make("second", 0o664)
    members = _members(tmp_path / "first.tar")
    assert list(members) == ["opt", "opt/x", "opt/x/package", "opt/x/package/a.py", "opt/x/package/tool"]
    assert members["opt/x/package/a.py"].mode == 0o644
    assert members["opt/x/package/tool"].mode == 0o755
    assert {member.uid for member in members.values()} == {0}
