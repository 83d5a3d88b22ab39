"""Many datagrams with one system call, outside Python's lock, so that a busy reader does not slow the receiver."""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import socket
import struct
import sys
from typing import Any

SLOTS = 256
SLOT_BYTES = 65536
WAIT_SECONDS = 0.1
_WAIT_FOR_ONE = 0x10000


class _IoVec(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _Header(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint32),
        ("vectors", ctypes.POINTER(_IoVec)),
        ("vector_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class _Message(ctypes.Structure):
    _fields_ = (("header", _Header), ("length", ctypes.c_uint))


class BatchSocket:
    """Receives up to SLOTS datagrams at once with Linux's ``recvmmsg``, elsewhere one at a time.

    Memory is reserved once and filled only as far as datagrams are long.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._call: Any = getattr(ctypes.CDLL(None, use_errno=True), "recvmmsg", None) if _is_linux() else None
        if self._call is None:
            return
        seconds, micros = int(WAIT_SECONDS), int(WAIT_SECONDS % 1 * 1e6)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", seconds, micros))
        self._memory = mmap.mmap(-1, SLOTS * SLOT_BYTES)
        self._view = memoryview(self._memory)
        address = ctypes.addressof(ctypes.c_char.from_buffer(self._memory))
        self._vectors = (_IoVec * SLOTS)(*(_IoVec(address + i * SLOT_BYTES, SLOT_BYTES) for i in range(SLOTS)))
        self._messages = (_Message * SLOTS)()
        for message, vector in zip(self._messages, self._vectors, strict=True):
            message.header.vectors, message.header.vector_count = ctypes.pointer(vector), 1

    def receive(self, wait: bool = True) -> list[bytes]:
        """The datagrams that are there, at least one; none after WAIT_SECONDS without any, or at once.

        Raises:
            OSError: receiving failed.
        """
        if self._call is None:
            self._socket.settimeout(WAIT_SECONDS if wait else 0.0)
            try:
                return [self._socket.recv(SLOT_BYTES)]
            except (TimeoutError, BlockingIOError):
                return []
        flags = _WAIT_FOR_ONE if wait else int(socket.MSG_DONTWAIT)
        count = self._call(self._socket.fileno(), self._messages, SLOTS, flags, None)
        if count < 0:
            code = ctypes.get_errno()
            if code in (errno.EAGAIN, errno.EWOULDBLOCK, errno.EINTR):
                return []
            raise OSError(code, os.strerror(code))
        view = self._view
        return [bytes(view[i * SLOT_BYTES : i * SLOT_BYTES + self._messages[i].length]) for i in range(count)]


def _is_linux() -> bool:
    return sys.platform.startswith("linux")
