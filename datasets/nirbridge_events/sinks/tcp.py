"""Lines to a program that listens on a TCP port."""

from __future__ import annotations

import contextlib
import logging
import math
import select
import socket
import threading
import time
from collections import deque
from collections.abc import Callable

from nirbridge.errors import InputError
from nirbridge_events.live import address as addresses
from nirbridge_events.sinks.base import Sink

SCHEME = "tcp://"
CAPACITY = 1024
LINGER = 2.0
CONNECT_SECONDS = 3.0
RETRY_SECONDS = 0.5
POLL_SECONDS = 0.02
MOST_HEARD = 16
"""Pieces of what the other end says that are read before a line; one that talks without end is there."""
SEND_SECONDS = 0.2
"""How long one try to send may take, before it is looked whether to stop."""


class TcpLines(Sink):
    """Connects to a program that listens and sends it lines from a thread of its own, so that no stream waits for it.

    Lines wait in a queue of bounded length.  When the program reads too slowly, or is away, the oldest are dropped and
    counted: decisions are worth most when they are new.  When the connection breaks it is tried again every half
    second, for as long as the sink is open; a line that was not sent whole is sent again.  A program that closes its
    end is taken to be gone.  Lines that the system had taken but the program never read are lost without notice.

    Args:
        address: as tcp://127.0.0.1:3333.
        capacity: lines that may wait.
        linger: how long closing waits for them to be sent [s].
        warn: told when the connection breaks or is there again, and when the first line is dropped; by default the
            logger "nirbridge" is.

    Attributes:
        sent: lines sent.
        lost: lines dropped.
        reconnections: how often it was connected again.

    Raises:
        InputError: the address is none, or nobody listens there.
    """

    def __init__(
        self,
        address: str,
        capacity: int = CAPACITY,
        linger: float = LINGER,
        warn: Callable[[str], None] | None = None,
    ) -> None:
        parsed = addresses.parse(address, known=())
        self.name = f"output '{address}'"
        self._place, self._capacity, self._linger = (parsed.host, parsed.port), capacity, linger
        self._warn = warn or logging.getLogger("nirbridge").warning
        self._lines: deque[bytes] = deque()
        self._tried = -math.inf
        self._changed = threading.Condition()
        self._until = math.inf
        """The moment until which lines are sent; it is known once the sink is closed."""
        self.sent = self.lost = self.reconnections = 0
        try:
            self._socket: socket.socket | None = self._connected()
        except OSError as error:
            found = f"cannot be connected to ({error.strerror or error})"
            raise InputError(self.name, found, "Start the program that listens there first") from error
        self._thread = threading.Thread(target=self._send_all, name="nirbridge-tcp", daemon=True)
        self._thread.start()

    def put(self, line: str) -> None:
        """See ``Sink.put``; never waits and never fails."""
        with self._changed:
            full = len(self._lines) >= self._capacity
            first = full and not self.lost
            if self._closed or full:
                self.lost += 1
            if self._closed:
                return
            if full:
                self._lines.popleft()
            self._lines.append(f"{line}\n".encode())
            self._changed.notify_all()
        if first:
            self._warn(f"{self.name}: {self._capacity} lines wait, and no more may; the oldest are dropped.")

    def close(self) -> None:
        """See ``Sink.close``; waits for lines to be sent, but not longer than ``linger``."""
        with self._changed:
            if self._closed:
                return
            self._until = time.monotonic() + self._linger
            self._changed.notify_all()
        self._thread.join()

    def notes(self) -> list[str]:
        """See ``Sink.notes``."""
        notes = []
        if self.lost:
            reason = "the program there was away or read too slowly"
            notes.append(f"{self.name}: {self.lost} of {self.lost + self.sent} lines were lost: {reason}.")
        if self.reconnections:
            notes.append(f"{self.name}: it was connected again {self.reconnections} times.")
        return notes

    @property
    def _closed(self) -> bool:
        return self._until != math.inf

    def _send_all(self) -> None:
        """The sending thread."""
        while (line := self._next()) is not None:
            done = self._sent(line)
            with self._changed:
                self.sent += done
                self.lost += not done
        with self._changed:
            self.lost += len(self._lines)
            self._lines.clear()
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_WR)
            self._socket.close()

    def _next(self) -> bytes | None:
        """The next line; None at the end."""
        with self._changed:
            while not self._lines and not self._closed:
                self._changed.wait()
            if not self._lines or time.monotonic() >= self._until:
                return None
            return self._lines.popleft()

    def _sent(self, line: bytes) -> bool:
        """Sends a line, again if the connection breaks; False if time runs out before."""
        left = memoryview(line)
        while left:
            if time.monotonic() >= self._until:
                return False
            if self._socket is None:
                self._reconnect()
                left = memoryview(line)
                continue
            try:
                if _is_gone(self._socket):
                    raise ConnectionResetError("it closed the connection")
                left = left[_send_some(self._socket, left) :]
            except OSError as error:
                self._warn(f"{self.name}: the connection broke ({error.strerror or error}); it is tried again.")
                self._socket.close()
                self._socket = None
        return True

    def _reconnect(self) -> None:
        """Tries once, a while after the last time."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed, self._tried + RETRY_SECONDS - time.monotonic())
        time.sleep(POLL_SECONDS)
        self._tried = time.monotonic()
        try:
            self._socket = self._connected()
        except OSError:
            return
        self.reconnections += 1
        self._warn(f"{self.name}: it is connected again.")

    def _connected(self) -> socket.socket:
        wait = min(CONNECT_SECONDS, max(0.1, self._until - time.monotonic()))
        connection = socket.create_connection(self._place, timeout=wait)
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        return connection


def _send_some(connection: socket.socket, data: memoryview) -> int:
    """Sends what the system takes; after a moment in which it takes nothing, 0."""
    poll = select.poll()
    poll.register(connection, select.POLLOUT)
    if not poll.poll(SEND_SECONDS * 1e3):
        return 0
    try:
        return connection.send(data)
    except BlockingIOError:
        return 0


def _is_gone(connection: socket.socket) -> bool:
    """Whether the other end has closed; what it says is read and left aside, so that closing does not cut our lines."""
    try:
        return any(not connection.recv(4096) for _ in range(MOST_HEARD))
    except BlockingIOError:
        return False
