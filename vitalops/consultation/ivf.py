"""IVF, the container in which libvpx writes VP8 frames: a 32-byte header, and 12 bytes before each frame."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from importlib import resources

_HEADER = struct.Struct("<4sHH4sHHIII4x")
_FRAME = struct.Struct("<IQ")


class IvfError(ValueError):
    """The bytes are not an IVF file of VP8 frames."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One VP8 frame. `key` frames can be decoded without any frame before them."""

    data: bytes
    key: bool


@dataclass(frozen=True, slots=True)
class Clip:
    """A short recording, to be played in a loop; its first frame is a key frame."""

    width: int
    height: int
    frames_per_second: float
    frames: tuple[Frame, ...]

    def next_key(self, index: int) -> int:
        """The first position at or after `index`, in the endless loop, that holds a key frame."""
        while not self.frames[index % len(self.frames)].key:
            index += 1
        return index


def parse(content: bytes) -> Clip:
    """Reads a whole file. Raises IvfError where it is no VP8, is cut short, or starts without a key frame."""
    if len(content) < _HEADER.size:
        raise IvfError(f"{len(content)} bytes are too few for an IVF header")
    magic, version, header_size, codec, width, height, rate, scale, _ = _HEADER.unpack_from(content)[:9]
    if magic != b"DKIF" or version != 0:
        raise IvfError("no IVF signature")
    if codec != b"VP80":
        raise IvfError(f"codec {codec!r} is not VP8")
    if not rate or not scale:
        raise IvfError("no frame rate")
    frames: list[Frame] = []
    at = header_size
    while at < len(content):
        if at + _FRAME.size > len(content):
            raise IvfError(f"cut short in the header of frame {len(frames)}")
        size, _ = _FRAME.unpack_from(content, at)
        at += _FRAME.size
        data = content[at : at + size]
        if len(data) != size or not data:
            raise IvfError(f"cut short in frame {len(frames)}")
        # RFC 6386, 9.1: the lowest bit of the first byte is 0 in a key frame.
        frames.append(Frame(data, key=not data[0] & 1))
        at += size
    if not frames or not frames[0].key:
        raise IvfError("does not start with a key frame")
    return Clip(width, height, rate / scale, tuple(frames))


def bundled_pattern() -> Clip:
    """The bundled clip: a synthetic test pattern (see assets/README.md). Nobody was ever filmed for it."""
    return parse(resources.files("vitalops.consultation").joinpath("assets/pattern.ivf").read_bytes())
