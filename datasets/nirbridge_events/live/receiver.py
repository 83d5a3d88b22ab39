"""The thread that takes datagrams from the system as they come, into a bounded queue."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections import Counter, deque
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nirbridge_events.live.batch import Batch, BatchSocket
from nirbridge_events.live.datagrams import Datagrams
from nirbridge_events.live.evidence import Senders

# What may wait for the reader; a datagram counts with its bytes and OVERHEAD.
QUEUE_BYTES = 1 << 26
OVERHEAD = 64
KERNEL_BYTES = 1 << 24
# What the reader takes at once.
TAKEN_BYTES = 1 << 18
# When it ends, it still takes all that the system holds, and what comes so soon after; not for ever while more comes.
LAST_NANOSECONDS = 10**8
JOIN_SECONDS = 5.0
NOT_READ = "datagrams dropped because they were not read in time"
SYSTEM = "datagrams dropped by the system, whose buffer was full"


class Receiver:
    """Receives on a bound socket from ``start`` to ``close``.

    The thread never waits for the reader: when the queue is full, what comes is counted and dropped.  What the system
    dropped before is read from its own count.

    Attributes:
        datagrams: how many came, without those that were dropped.
        lost: what was dropped, by kind.
        senders: who sends.
        opened: the zero of arrivals, on the clock ``time.perf_counter_ns`` [ns].
        error: what ended the thread, None unless receiving failed.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        # Beyond the limit for users it needs a privilege; then the limit it is.
        for option in (socket.SO_RCVBUF, getattr(socket, "SO_RCVBUFFORCE", 33)):
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, option, KERNEL_BYTES)
        self._batch = BatchSocket(sock)
        self._inode = os.fstat(sock.fileno()).st_ino
        self._changed = threading.Condition()
        self._queue: deque[tuple[npt.NDArray[np.int64], list[bytes], int]] = deque()
        self._queued = 0
        self._closing = threading.Event()
        self._done = False
        self._thread: threading.Thread | None = None
        self._latest = 0
        self.opened = time.perf_counter_ns()
        self.senders = Senders()
        self.datagrams = 0
        self.lost: Counter[str] = Counter()
        self.error: OSError | None = None

    def start(self) -> None:
        """Starts the thread, unless it was closed before."""
        if not self._closing.is_set():
            self._thread = threading.Thread(target=self._run, name="nirbridge-udp", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Ends the thread and frees the port; what waits in the queue may still be taken."""
        self._closing.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(JOIN_SECONDS)
        if thread is None:
            self._finish()

    def take(self, timeout: float) -> Datagrams | None:
        """What has come, up to about TAKEN_BYTES; nothing after ``timeout`` seconds; None at the end."""
        parts: list[bytes] = []
        arrivals: list[npt.NDArray[np.int64]] = []
        with self._changed:
            if not self._queue and not self._done:
                self._changed.wait(timeout)
            if not self._queue and self._done:
                return None
            taken = 0
            while self._queue and taken < TAKEN_BYTES:
                moments, batch, size = self._queue.popleft()
                parts += batch
                arrivals.append(moments)
                taken += size
            self._queued -= taken
        return Datagrams(parts, np.concatenate(arrivals) if arrivals else np.empty(0, dtype=np.int64))

    def discard(self) -> None:
        """Counts what waits in the queue as not read."""
        with self._changed:
            self.lost[NOT_READ] += sum(len(batch) for _, batch, _ in self._queue)
            self._queue.clear()
            self._queued = 0

    def count_system_drops(self) -> None:
        """Brings the system's own count of dropped datagrams up to date, where it has one."""
        for table in ("/proc/self/net/udp", "/proc/self/net/udp6"):
            with contextlib.suppress(OSError, ValueError, IndexError):
                for line in Path(table).read_text().splitlines()[1:]:
                    fields = line.split()
                    if int(fields[9]) == self._inode:
                        self.lost[SYSTEM] = int(fields[-1])

    def _run(self) -> None:
        try:
            while not self._closing.is_set():
                if (batch := self._batch.receive()) is not None:
                    self._put(batch)
            last = time.perf_counter_ns() + LAST_NANOSECONDS
            while (batch := self._batch.receive(wait=False)) is not None:
                self._put(batch)
                if batch.moments[-1] > last:
                    break
        except OSError as error:
            self.error = error
        finally:
            self._finish()

    def _put(self, batch: Batch) -> None:
        size = sum(map(len, batch.parts)) + OVERHEAD * len(batch.parts)
        arrivals = np.maximum(np.maximum.accumulate((batch.moments - self.opened) // 1000), self._latest)
        self._latest = int(arrivals[-1])
        self.senders.add(batch.senders)
        with self._changed:
            if self._queued + size > QUEUE_BYTES:
                self.lost[NOT_READ] += len(batch.parts)
                return
            self._queue.append((arrivals, batch.parts, size))
            self._queued += size
            self.datagrams += len(batch.parts)
            self._changed.notify()

    def _finish(self) -> None:
        with self._changed:
            if not self._done:
                self.count_system_drops()
                self._socket.close()
                self._done = True
                self._changed.notify_all()
