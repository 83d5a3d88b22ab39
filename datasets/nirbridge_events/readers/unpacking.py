"""Compressed bytes of a recording, unpacked piece by piece, so that no size that a file claims takes memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from nirbridge.errors import FileError
from nirbridge_events.readers.base import BLOCK_BYTES, Feed, file_label

LARGEST_WINDOW = 1 << 27
"""The farthest that ZSTD may look back [bytes]: zstd's own limit for frames that are not made with ``--long``."""


class Readable(Protocol):
    """Bytes in order."""

    def read(self, size: int = -1) -> bytes:
        """The next bytes, at most ``size`` of them; none at the end."""


class UnpackingError(ValueError):
    """The bytes are no whole frame of their kind."""


class ByteStream:
    """The bytes of a pass over a file, in pieces of any size.

    Attributes:
        at: offset in the file of the next byte.
    """

    def __init__(self, feed: Feed) -> None:
        self.at = feed.offset
        self._blocks: Iterator[tuple[int, bytes]] = feed.blocks()
        self._block, self._used = b"", 0

    def read(self, size: int) -> bytes:
        """The next ``size`` bytes, fewer only at the end of the file."""
        parts, wanted = [], size
        while wanted:
            if self._used == len(self._block):
                self._block, self._used = next(self._blocks, (0, b""))[1], 0
                if not self._block:
                    break
            part = self._block[self._used : self._used + wanted]
            self._used += len(part)
            wanted -= len(part)
            parts.append(part)
        self.at += size - wanted
        return b"".join(parts)


class Section:
    """The next ``size`` bytes of a stream.

    Attributes:
        left: bytes not read yet.
        cut: whether the stream was found to end before them.
    """

    def __init__(self, stream: ByteStream, size: int) -> None:
        self._stream = stream
        self.left = size
        self.cut = False

    def read(self, size: int = -1) -> bytes:
        """See ``Readable``."""
        wanted = min(self.left, BLOCK_BYTES if size < 0 else size)
        data = self._stream.read(wanted)
        self.left -= len(data)
        self.cut |= len(data) < wanted
        return data

    def skip(self) -> None:
        """Leaves the rest away."""
        while self.left and not self.cut:
            self.read(BLOCK_BYTES)


class _Lz4:
    """The bytes of one LZ4 frame."""

    def __init__(self, packed: Readable) -> None:
        import lz4.frame

        self._decoder = lz4.frame.LZ4FrameDecompressor()
        self._packed = packed

    def read(self, size: int = -1) -> bytes:
        """See ``Readable``."""
        while not self._decoder.eof:
            packed = self._packed.read(BLOCK_BYTES) if self._decoder.needs_input else b""
            if not packed and self._decoder.needs_input:
                break
            try:
                data: bytes = self._decoder.decompress(packed, max_length=BLOCK_BYTES if size < 0 else size)
            except RuntimeError as error:
                raise UnpackingError(str(error)) from error
            if data:
                return data
        return b""


class _Zstd:
    """The bytes of one ZSTD frame."""

    def __init__(self, packed: Readable) -> None:
        import zstandard

        self._error = zstandard.ZstdError
        decoder: Any = zstandard.ZstdDecompressor(max_window_size=LARGEST_WINDOW)
        self._reader = decoder.stream_reader(packed, read_size=BLOCK_BYTES)

    def read(self, size: int = -1) -> bytes:
        """See ``Readable``."""
        try:
            data: bytes = self._reader.read(BLOCK_BYTES if size < 0 else size)
        except self._error as error:
            raise UnpackingError(str(error)) from error
        return data


Unpacker = Callable[[Readable], Readable]

PACKAGES: dict[str, tuple[str, Unpacker]] = {"LZ4": ("lz4", _Lz4), "ZSTD": ("zstandard", _Zstd)}


def unpacker(path: Path, compression: str) -> Unpacker:
    """What unpacks a frame: "LZ4", "ZSTD", or "" for bytes as they are.

    ``read`` of what it returns raises ``UnpackingError`` where the frame is damaged.

    Raises:
        FileError: the package that unpacks it is not installed.
    """
    if not compression:
        return lambda packed: packed
    package, kind = PACKAGES[compression]
    try:
        import_module(package)
    except ImportError as error:
        found = f"is compressed with {compression}, and the package {package} is not installed"
        raise FileError(file_label(path), found, f"Install it with: pip install {package}") from error
    return kind
