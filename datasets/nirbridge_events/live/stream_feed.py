"""The bytes of a pipe as they come."""

from __future__ import annotations

import os
import re
import select
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from nirbridge_events.live.feed import LiveFeed
from nirbridge_events.readers.base import BLOCK_BYTES, STDIN, unreadable

WAIT_SECONDS = 0.1
_LINE = re.compile(rb"^[^#\r\n][^\n]*\n", re.MULTILINE)
"""A line that is no comment."""


@dataclass
class StreamFeed(LiveFeed):
    """The bytes of a pipe: what was read to recognise its format, then what comes.

    Attributes:
        descriptor: the open file.
        head: bytes that were read before.
        closing: set to end the reading.
        ended: whether the pipe has ended.
        read_at: when the last block was read, on the clock ``time.perf_counter`` [s].
        waited: whether the pipe was empty before that block came.
    """

    descriptor: int = 0
    head: bytes = b""
    closing: threading.Event = field(default_factory=threading.Event)
    ended: bool = False
    read_at: float = 0.0
    waited: bool = True

    def blocks(self) -> Iterator[tuple[int, bytes]]:
        """Yields (offset in the stream, bytes) as they come.

        Raises:
            FileError: the pipe cannot be read.
        """
        self.position = self.offset
        block = self.head[self.offset :]
        while not self.ended or block:
            if block:
                start, self.position = self.position, self.position + len(block)
                yield start, block
            block = self.more()

    def more(self) -> bytes:
        """What comes next, as much as is there; nothing at the end.

        Raises:
            FileError: the pipe cannot be read.
        """
        try:
            ready = bool(select.select([self.descriptor], [], [], 0)[0])
            self.waited = not ready
            while not self.closing.is_set():
                if ready:
                    block = os.read(self.descriptor, BLOCK_BYTES)
                    self.ended, self.read_at = not block, time.perf_counter()
                    return block
                ready = bool(select.select([self.descriptor], [], [], WAIT_SECONDS)[0])
        except (OSError, ValueError) as error:
            raise unreadable(STDIN, OSError(0, str(error))) from error
        self.ended = True
        return b""

    def read_head(self, enough: int, lines: int) -> None:
        """Reads until ``head`` has so many bytes or so many lines of data, or the pipe ends."""
        while len(self.head) < enough and not (lines and len(_LINE.findall(self.head)) >= lines) and not self.ended:
            self.head += self.more()
