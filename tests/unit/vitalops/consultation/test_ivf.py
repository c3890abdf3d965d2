from __future__ import annotations

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitalops.consultation import ivf

KEY = b"\x10key frame"
DELTA = b"\x11delta"


def container(frames: list[bytes], codec: bytes = b"VP80", rate: int = 15) -> bytes:
    header = struct.pack("<4sHH4sHHIII4x", b"DKIF", 0, 32, codec, 320, 240, rate, 1, len(frames))
    return header + b"".join(struct.pack("<IQ", len(f), n) + f for n, f in enumerate(frames))


def test_frames_come_back_with_their_kind() -> None:
    clip = ivf.parse(container([KEY, DELTA, DELTA, KEY]))
    assert (clip.width, clip.height, clip.frames_per_second) == (320, 240, 15.0)
    assert [frame.data for frame in clip.frames] == [KEY, DELTA, DELTA, KEY]
    assert [frame.key for frame in clip.frames] == [True, False, False, True]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "too few"),
        (b"RIFF" + container([KEY])[4:], "signature"),
        (container([KEY], codec=b"VP90"), "not VP8"),
        (container([KEY], rate=0), "no frame rate"),
        (container([]), "key frame"),
        (container([DELTA, KEY]), "key frame"),
        (container([KEY, DELTA])[:-1], "cut short in frame 1"),
        (container([KEY]) + b"\x00\x00\x00", "cut short in the header of frame 1"),
    ],
)
def test_what_is_not_a_clip_is_refused(content: bytes, problem: str) -> None:
    with pytest.raises(ivf.IvfError, match=problem):
        ivf.parse(content)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    with contextlib.suppress(ivf.IvfError):
        ivf.parse(content)


@given(st.integers(0, 1000))
def test_next_key_is_the_nearest_one_ahead(index: int) -> None:
    clip = ivf.parse(container([KEY, DELTA, DELTA, KEY, DELTA]))
    found = clip.next_key(index)
    assert found >= index
    assert clip.frames[found % 5].key
    assert not any(clip.frames[between % 5].key for between in range(index, found))


def test_bundled_pattern_can_be_joined_within_a_second() -> None:
    clip = ivf.bundled_pattern()
    assert (clip.width, clip.height) == (320, 240)
    for start in range(len(clip.frames)):
        assert clip.next_key(start) - start < clip.frames_per_second
