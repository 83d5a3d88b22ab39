"""Lava's channels without threads.

At both ends of Lava's own channel a thread waits for the other end and tells the process, which is most of what a
message costs. Here the process itself waits, on the semaphores that the two ends share.
"""

from __future__ import annotations

import mmap
from multiprocessing import Semaphore
from typing import Any, NamedTuple

import numpy as np
from lava.magma.compiler.channels.interfaces import Channel
from lava.magma.compiler.channels.pypychannel import CspRecvPort, CspSendPort, Proto
from lava.magma.runtime.message_infrastructure.multiprocessing import MultiProcessing

from nirbridge.runtime import Array


class _Memory(NamedTuple):
    """What Lava's ports read of a ``SharedMemory``; anonymous, so that the kernel frees it with its last process."""

    buf: memoryview


class SendPort(CspSendPort):
    """The end that sends."""

    def start(self) -> None:
        """Finds the places of the messages."""
        self._array = _places(self)

    def send(self, data: Array) -> None:
        """Waits for a place and puts a message there."""
        if data.shape != self._shape:
            raise AssertionError(f"a message of shape {data.shape} on a channel of {self._shape}")
        self._ack.acquire()
        self._array[self._idx][:] = data
        self._idx = (self._idx + 1) % self._size
        self._req.release()

    def join(self) -> None:
        """Nothing waits here."""


class ReceivePort(CspRecvPort):
    """The end that receives."""

    def start(self) -> None:
        """Finds the places of the messages."""
        self._array = _places(self)

    def probe(self) -> bool:
        """Whether a message is there.

        While a selector observes the port it waits for one: there is no thread to wake the selector, and of the
        processes here each selects among one channel.
        """
        return _is_there(self._req, self.observer is not None)

    def wait(self, seconds: float) -> bool:
        """Whether a message is there, after so many seconds at most."""
        return _is_there(self._req, True, seconds)

    def peek(self) -> Array:
        """The next message, which stays; waits for it."""
        _is_there(self._req, True)
        return self._array[self._idx].copy()

    def recv(self) -> Array:
        """The next message; waits for it."""
        self._req.acquire()
        message = self._array[self._idx].copy()
        self._idx = (self._idx + 1) % self._size
        self._ack.release()
        return message

    def join(self) -> None:
        """Nothing waits here."""


class SharedChannel(Channel):
    """Both ends, to be made before the processes fork; the arguments are those of Lava's own."""

    def __init__(
        self, infrastructure: Any, src_name: str, dst_name: str, shape: Any, dtype: Any, size: int, *watchdogs: Any
    ) -> None:
        nbytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
        memory, proto = _Memory(memoryview(mmap.mmap(-1, nbytes * size))), Proto(shape, dtype, nbytes)
        shared = memory, proto, size, Semaphore(0), Semaphore(size), None, None
        self._src_port, self._dst_port = SendPort(src_name, *shared), ReceivePort(dst_name, *shared)

    @property
    def src_port(self) -> SendPort:
        """The end that sends."""
        return self._src_port

    @property
    def dst_port(self) -> ReceivePort:
        """The end that receives."""
        return self._dst_port


class SharedChannels(MultiProcessing):
    """Lava's processes with these channels."""

    def channel_class(self, channel_type: Any) -> type[Channel]:
        """One class, as all processes here are of Python."""
        return SharedChannel


def _places(port: Any) -> list[Array]:
    return list(np.frombuffer(port._shm.buf, port._dtype).reshape(port._size, *port._shape))


def _is_there(semaphore: Any, wait: bool, seconds: float | None = None) -> bool:
    """Whether it could be acquired, which it is not."""
    found: bool = semaphore.acquire(wait, seconds)
    if found:
        semaphore.release()
    return found
