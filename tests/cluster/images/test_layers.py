"""What is in the images that a machine really builds."""

from __future__ import annotations

import json
import stat
import tarfile

import pytest

from infra.local.images.definitions import IMAGES
from tests.cluster.conftest import vitalops
from tests.cluster.images.conftest import Built

CHECKED_BY_TIME, UNCHECKED_HASH = 0, 1
"""The flags in bytes 4 to 8 of a compiled Python file (PEP 552)."""


def test_a_second_build_does_nothing(images: dict[str, Built]) -> None:
    again = json.loads(vitalops("images", "build", "--output", "json").stdout)
    assert {image["name"]: image["digest"] for image in again} == {
        name: image.digest for name, image in images.items()
    }
    assert all(image["cached"] for image in again)


@pytest.mark.parametrize("name", IMAGES)
def test_nothing_in_an_image_raises_privileges_or_is_writable_by_all(
    images: dict[str, Built], name: str
) -> None:
    for layer in images[name].layers():
        with tarfile.open(layer) as archive:
            for member in archive:
                if member.isdir():
                    open_to_all = member.mode & stat.S_IWOTH and not member.mode & stat.S_ISVTX
                    assert not open_to_all, f"{member.name} lets everybody write"
                    continue
                assert not member.mode & (stat.S_ISUID | stat.S_ISGID), member.name
                assert member.issym() or not member.mode & stat.S_IWOTH, member.name
                assert not member.isdev(), member.name


@pytest.mark.parametrize("name", IMAGES)
def test_no_image_carries_a_private_key(images: dict[str, Built], name: str) -> None:
    for layer in images[name].layers():
        with tarfile.open(layer) as archive:
            for member in archive:
                if not member.isreg() or not member.name.startswith("etc/") or member.size > 1_000_000:
                    continue
                body = archive.extractfile(member)
                assert body is not None
                assert b"PRIVATE KEY-----" not in body.read(), member.name


@pytest.mark.parametrize("name", IMAGES)
def test_images_name_a_numeric_user_that_is_not_root(images: dict[str, Built], name: str) -> None:
    uid = IMAGES[name].uid
    assert images[name].config()["User"] == f"{uid}:{uid}"
    assert uid > 0


@pytest.mark.parametrize(
    ("name", "prefix"), [("services", "app/"), ("services", "opt/"), ("database", "opt/")]
)
def test_python_files_are_compiled_so_that_a_read_only_image_starts_fast(
    images: dict[str, Built], name: str, prefix: str
) -> None:
    flags: set[int] = set()
    sources = compiled = 0
    for layer in images[name].layers():
        with tarfile.open(layer) as archive:
            for member in archive:
                if not member.name.startswith(prefix):
                    continue
                sources += member.name.endswith(".py")
                if member.name.endswith(".pyc"):
                    compiled += 1
                    body = archive.extractfile(member)
                    assert body is not None
                    flags.add(int.from_bytes(body.read(8)[4:], "little"))
    assert flags == {UNCHECKED_HASH}
    assert compiled >= 0.97 * sources, "templates apart, every source has its compiled form"


def test_images_share_the_base_layer(images: dict[str, Built]) -> None:
    (base,) = images["base"].layers()
    for name in ("services", "database", "gateway", "media"):
        assert images[name].layers()[0] == base
