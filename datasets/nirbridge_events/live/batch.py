"""Many datagrams with one system call, outside Python's lock, so that a busy reader does not slow the receiver."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import mmap
import os
import socket
import struct
import sys
import time
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt

SLOTS = 256
SLOT_BYTES = 65536
WAIT_SECONDS = 0.1
_WAIT_FOR_ONE = 0x10000
_NAME_BYTES = 28
_CONTROL_BYTES = 64
# Linux stamps each datagram as it comes, on the clock of the day; Python does not name the option.
_TIMESTAMP_NS = 35
_STAMP_HEAD = socket.SOL_SOCKET | _TIMESTAMP_NS << 32
_STAMP_BYTES = 32
_OLDEST_NS = 600 * 10**9
"""A stamp that is older, or of the future, only says that somebody set the clock."""


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


_TABLE = np.dtype(
    {
        "names": ["name_length", "control_length", "length"],
        "formats": [np.uint32, np.uintp, np.uint32],
        "offsets": [_Header.name_length.offset, _Header.control_length.offset, _Message.length.offset],
        "itemsize": ctypes.sizeof(_Message),
    }
)


@dataclass(frozen=True)
class Batch:
    """Datagrams as the system had them.

    Attributes:
        parts: their bytes.
        moments: when each reached this machine, by the system's stamp where it gives one, on the clock
            ``time.perf_counter_ns`` [ns], int64 [N].
        senders: the address of each run of datagrams of one sender.
    """

    parts: list[bytes]
    moments: npt.NDArray[np.int64]
    senders: list[str]


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
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, _TIMESTAMP_NS, 1)
        self._memory = mmap.mmap(-1, SLOTS * SLOT_BYTES)
        self._view = memoryview(self._memory)
        address = ctypes.addressof(ctypes.c_char.from_buffer(self._memory))
        self._vectors = (_IoVec * SLOTS)(*(_IoVec(address + i * SLOT_BYTES, SLOT_BYTES) for i in range(SLOTS)))
        self._messages = (_Message * SLOTS)()
        self._names = np.zeros((SLOTS, _NAME_BYTES), dtype=np.uint8)
        self._controls = np.zeros((SLOTS, _CONTROL_BYTES // 8), dtype=np.int64)
        for i, message in enumerate(self._messages):
            header = message.header
            header.vectors, header.vector_count = ctypes.pointer(self._vectors[i]), 1
            header.name = self._names.ctypes.data + i * _NAME_BYTES
            header.control = self._controls.ctypes.data + i * _CONTROL_BYTES
        self._table = np.frombuffer(memoryview(self._messages).cast("B"), dtype=_TABLE)

    def receive(self, wait: bool = True) -> Batch | None:
        """The datagrams that are there, at least one; None after WAIT_SECONDS without any, or at once.

        Raises:
            OSError: receiving failed.
        """
        if self._call is None:
            return self._receive_one(wait)
        flags = _WAIT_FOR_ONE if wait else int(socket.MSG_DONTWAIT)
        self._table["name_length"], self._table["control_length"] = _NAME_BYTES, _CONTROL_BYTES
        count = self._call(self._socket.fileno(), self._messages, SLOTS, flags, None)
        if count < 0:
            code = ctypes.get_errno()
            if code in (errno.EAGAIN, errno.EWOULDBLOCK, errno.EINTR):
                return None
            raise OSError(code, os.strerror(code))
        lengths = self._table["length"][:count].tolist()
        view = self._view
        parts = [bytes(view[i * SLOT_BYTES : i * SLOT_BYTES + length]) for i, length in enumerate(lengths)]
        return Batch(parts, self._moments(count), self._senders(count))

    def _receive_one(self, wait: bool) -> Batch | None:
        self._socket.settimeout(WAIT_SECONDS if wait else 0.0)
        try:
            part, sender = self._socket.recvfrom(SLOT_BYTES)
        except (TimeoutError, BlockingIOError):
            return None
        return Batch([part], np.array([time.perf_counter_ns()]), [_shown(sender[0], sender[1])])

    def _moments(self, count: int) -> npt.NDArray[np.int64]:
        now, today = time.perf_counter_ns(), time.time_ns()
        controls = self._controls[:count]
        stamped = (self._table["control_length"][:count] >= _STAMP_BYTES) & (controls[:, 1] == _STAMP_HEAD)
        ages = today - (controls[:, 2] * 10**9 + controls[:, 3])
        return now - np.where(stamped & (ages > 0) & (ages < _OLDEST_NS), ages, 0)

    def _senders(self, count: int) -> list[str]:
        names = self._names[:count]
        if (names == names[0]).all():
            return [_address(names[0].tobytes())]
        return [_address(name) for name, _ in groupby(row.tobytes() for row in names)]


def _address(name: bytes) -> str:
    """An address of C, as people write it."""
    family = int.from_bytes(name[:2], sys.byteorder)
    host = name[4:8] if family == socket.AF_INET else name[8:24]
    return _shown(socket.inet_ntop(family, host), int.from_bytes(name[2:4], "big"))


def _shown(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _is_linux() -> bool:
    return sys.platform.startswith("linux") and ctypes.sizeof(ctypes.c_void_p) == 8
