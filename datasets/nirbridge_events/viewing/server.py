"""The server of the page: this machine only, nothing but GET, nothing from elsewhere."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import Any

from nirbridge.errors import InputError
from nirbridge_events.streaming import Observation
from nirbridge_events.viewing.snapshots import About, health, picture, point
from nirbridge_events.watching import StreamStatus

HOST = "127.0.0.1"
KEPT_POINTS = 600
SHORTEST_INTERVAL = 0.04
"""Seconds between two updates: a window of 1 ms needs no thousand pictures a second."""
HEARTBEAT = 1.0
MOST_PAGES = 8
MOST_CONNECTIONS = 64
REQUEST_SECONDS = 10.0
"""How long a request and its answer may take, and each further piece of the stream of updates."""
SEND_BYTES = 1 << 16
"""What the system may hold for a page that does not read, so that it is found out soon."""
RETRY_MS = 5000
POLL_SECONDS = 0.05

_FILES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/app.js": ("app.js", "text/javascript; charset=utf-8"),
    "/style.css": ("style.css", "text/css; charset=utf-8"),
}
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class View:
    """Serves the page while the ``with`` block lasts; ``observe`` and ``end`` feed it.

    Args:
        about: what does not change.
        port: the port on 127.0.0.1; 0 takes a free one.

    Attributes:
        url: where the page is.

    Raises:
        InputError: the port is taken or not allowed.
    """

    def __init__(self, about: About, port: int = 0) -> None:
        self.about = about
        self._points: deque[tuple[int, dict[str, Any]]] = deque(maxlen=KEPT_POINTS)
        self._latest: Observation | None = None
        self._number = 0
        self._summary: dict[str, Any] | None = None
        self._changed = threading.Condition()
        self._closed = False
        self._status: Callable[[], StreamStatus] | None = None
        try:
            self._server = _Server((HOST, port), self)
        except OSError as error:
            found = f"cannot listen on {HOST} port {port} ({error.strerror})"
            raise InputError("option --port", found, "Choose another port, or 0 for a free one") from error
        self.url = f"http://{HOST}:{self._server.server_address[1]}/"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(POLL_SECONDS,), name="nirbridge-view", daemon=True
        )

    def __enter__(self) -> View:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def watch(self, status: Callable[[], StreamStatus]) -> None:
        """Shows how the stream does, which ``status`` says."""
        self._status = status

    def observe(self, observation: Observation) -> None:
        """Shows a window; cheap, because pictures are only made for pages that are open."""
        with self._changed:
            self._number += 1
            self._points.append((self._number, point(observation)))
            self._latest = observation
            self._changed.notify_all()

    def end(self, summary: dict[str, Any]) -> None:
        """Shows that the stream is over."""
        with self._changed:
            self._summary = summary
            self._changed.notify_all()

    def updates(self, seen: int, ended: bool) -> tuple[int, dict[str, Any]]:
        """What a page that knows the first ``seen`` windows has not seen; waits for it, but not longer than HEARTBEAT.

        Raises:
            ConnectionAbortedError: the view is closed.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._is_news(seen, ended), HEARTBEAT)
            if self._closed:
                raise ConnectionAbortedError
            points = [data for number, data in self._points if number > seen]
            latest, number, summary = self._latest, self._number, self._summary
        update: dict[str, Any] = {"points": points, "summary": summary}
        if self._status is not None:
            update["health"] = health(self._status())
        if latest is not None and points:
            update["picture"] = picture(latest, self.about.settings)
        return number, update

    def _is_news(self, seen: int, ended: bool) -> bool:
        return self._number > seen or (self._summary is not None and not ended)


class _Server(ThreadingHTTPServer):
    """Answers each connection in a thread, and ends those that hold theirs for too long.

    A connection has until its deadline, which moves on while a page takes its updates.  There are at most
    MOST_CONNECTIONS, and MOST_PAGES that take updates; for a new one the oldest has to go, so that nobody who opens
    many and reads none keeps others out.
    """

    daemon_threads = True
    block_on_close = False
    request_queue_size = MOST_CONNECTIONS

    def __init__(self, address: tuple[str, int], view: View) -> None:
        self.view = view
        self._lock = threading.Lock()
        self._deadlines: dict[socket.socket, float] = {}
        """Every open connection, the oldest first."""
        self._pages: dict[socket.socket, None] = {}
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Gives a connection its deadline and its thread."""
        request.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BYTES)
        with self._lock:
            waiting = [other for other in self._deadlines if other not in self._pages]
            if len(self._deadlines) >= MOST_CONNECTIONS and waiting:
                _hang_up(waiting[0])
                del self._deadlines[waiting[0]]
            self._deadlines[request] = time.monotonic() + REQUEST_SECONDS
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Forgets a connection that is closed."""
        with self._lock:
            self._deadlines.pop(request, None)
            self._pages.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Ends the connections whose time is over; called a few times a second."""
        now = time.monotonic()
        with self._lock:
            for request in [request for request, deadline in self._deadlines.items() if deadline < now]:
                _hang_up(request)
                del self._deadlines[request]

    def open_page(self, request: socket.socket) -> None:
        """A connection begins to take updates."""
        with self._lock:
            if len(self._pages) >= MOST_PAGES:
                oldest = next(iter(self._pages))
                _hang_up(oldest)
                del self._pages[oldest]
            self._pages[request] = None

    def move_deadline(self, request: socket.socket) -> None:
        """A page took its updates."""
        with self._lock:
            if request in self._deadlines:
                self._deadlines[request] = time.monotonic() + REQUEST_SECONDS

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A page that goes away in the middle of an answer is nothing to report."""


def _hang_up(connection: socket.socket) -> None:
    """Wakes the thread of a connection with an error; the thread closes it."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    server_version = "nirbridge"
    sys_version = ""
    timeout = REQUEST_SECONDS

    def do_GET(self) -> None:
        """The page, its two files, and the stream of updates."""
        # A page from elsewhere may point a name of its own at this address; its Host header gives it away.
        port = self.server.server_address[1]
        if self.headers.get("Host") not in (f"{HOST}:{port}", f"localhost:{port}"):
            self._refuse(HTTPStatus.FORBIDDEN)
        elif self.path in _FILES:
            name, kind = _FILES[self.path]
            self._send((files(__package__) / "page" / name).read_bytes(), kind)
        elif self.path == "/about":
            self._send(json.dumps(self.server.view.about.to_dict()).encode(), "application/json")
        elif self.path == "/updates":
            self._stream()
        else:
            self._refuse(HTTPStatus.NOT_FOUND)

    def _only_get(self) -> None:
        self._refuse(HTTPStatus.METHOD_NOT_ALLOWED)

    do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = _only_get  # noqa: N815

    def log_message(self, _format: str, *_arguments: Any) -> None:
        """Requests are no news to who reads stderr."""

    def _stream(self) -> None:
        self.server.open_page(self.connection)
        self._start(HTTPStatus.OK, "text/event-stream", None)
        # A page that had to go for another one asks again, but not at once.
        self.wfile.write(f"retry: {RETRY_MS}\n\n".encode())
        seen, ended = 0, False
        while not ended:
            seen, update = self.server.view.updates(seen, ended)
            self.wfile.write(f"data: {json.dumps(update, allow_nan=False)}\n\n".encode())
            self.server.move_deadline(self.connection)
            ended = update["summary"] is not None
            time.sleep(SHORTEST_INTERVAL)

    def _send(self, body: bytes, kind: str) -> None:
        self._start(HTTPStatus.OK, kind, len(body))
        self.wfile.write(body)

    def _refuse(self, status: HTTPStatus) -> None:
        body = f"{status.value} {status.phrase}\n".encode()
        self._start(status, "text/plain; charset=utf-8", len(body))
        if self.command != "HEAD":
            self.wfile.write(body)

    def _start(self, status: HTTPStatus, kind: str, length: int | None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        if status is HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "GET")
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.end_headers()
