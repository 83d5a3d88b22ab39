"""Events from the network: ``udp://HOST:PORT``, with ``?format=spif|faery|faery32``, ``&size=WxH`` and ``&idle=S``."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

from nirbridge.errors import FileError, InputError
from nirbridge_events.event_source import LiveSource
from nirbridge_events.events import Events
from nirbridge_events.live import address as addresses
from nirbridge_events.live.clock import LiveClock
from nirbridge_events.live.datagrams import FORMATS
from nirbridge_events.live.evidence import FormatJudge
from nirbridge_events.live.feed import Arrivals, LiveFeed
from nirbridge_events.live.receiver import Receiver
from nirbridge_events.readers.base import Feed
from nirbridge_events.readers.wanted import Wanted

# After so many seconds without a datagram an empty chunk is given, so that whoever reads can do something else.
HEARTBEAT = 0.01
DROPS_EVERY = 1.0


def open_udp(source: str, wanted: Wanted) -> LiveSource:
    """A live source that listens from now on; the first pass over it starts receiving.

    Its ``name`` has the port that is listened on.  ``close`` ends it from any thread; so does a pass that is ended.

    Raises:
        InputError: the name is wrong, the size of the sensor is not said, or nothing can listen there.
    """
    where = f"source '{source}'"
    wanted.require_known(where, "a live source of known layout", frozenset())
    address = addresses.parse(source)
    kind = address.format or "spif"
    if kind not in FORMATS:
        raise InputError(where, f"format '{kind}' is unknown", f"Choose of {', '.join(FORMATS)}")
    size = address.agreed_size(where, wanted.sensor_size)
    if size is None:
        raise InputError(where, "does not say its sensor size", "Add ?size=640x480, or give the size of the sensor")
    sock = _bind(where, address)
    receiver = Receiver(sock)
    host = f"[{address.host}]" if ":" in address.host else address.host
    name = f"udp://{host}:{sock.getsockname()[1]}"
    feed = LiveFeed(Path(name), 0)

    def start_pass() -> tuple[Feed, Iterator[Events]]:
        return feed, _chunks(name, receiver, feed, FormatJudge(kind, size), address.idle)

    return LiveSource(
        name=name,
        format="udp",
        sensor_size=size,
        size_origin="given",
        start_pass=start_pass,
        error=InputError,
        close=receiver.close,
    )


def _bind(where: str, address: addresses.Address) -> socket.socket:
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_DGRAM)
        family, _, _, _, place = found[0]
        sock = socket.socket(family, socket.SOCK_DGRAM)
    except OSError as error:
        raise InputError(where, f"has no usable host ({error.strerror or error})", "Check the address") from error
    try:
        sock.bind(place)
    except OSError as error:
        sock.close()
        found_text = f"nothing can listen on port {address.port} ({error.strerror or error})"
        raise InputError(where, found_text, "Choose another port, or end what listens there") from error
    return sock


def _chunks(name: str, receiver: Receiver, feed: LiveFeed, judge: FormatJudge, idle: float | None) -> Iterator[Events]:
    """Decoded events as they come, an empty chunk at each heartbeat; ends when closed or idle for too long."""
    decode, bits, _ = FORMATS[judge.kind]
    clock = LiveClock(bits)
    receiver.start()
    last = counted = time.perf_counter()
    try:
        while (datagrams := receiver.take(HEARTBEAT)) is not None:
            now = time.perf_counter()
            if now - counted > DROPS_EVERY:
                receiver.count_system_drops()
                counted = now
            events = _NONE
            if datagrams.parts:
                last = (receiver.opened + int(datagrams.arrivals[-1]) * 1000) / 1e9
                feed.position += sum(map(len, datagrams.parts))
                if judge.look(datagrams.parts, now):
                    feed.lost[f"datagrams of format '{judge.other}'"] += len(datagrams.parts)
                else:
                    events = decode(datagrams, clock, feed.lost)
                    feed.arrived(Arrivals(clock.tops, (receiver.opened + clock.moments * 1000) / 1e9))
                    feed.wraps, feed.resyncs = clock.wraps, clock.resyncs
            elif idle is not None and now - last > idle:
                # What came until now is still in the queue and is given before the end.
                receiver.close()
            _report(receiver, judge, feed)
            yield events
    finally:
        receiver.close()
        receiver.discard()
        _report(receiver, judge, feed)
    if receiver.error is not None:
        reason = receiver.error.strerror or receiver.error
        raise FileError(name, f"receiving failed ({reason})", "Check the network")


def _report(receiver: Receiver, judge: FormatJudge, feed: LiveFeed) -> None:
    """Brings what the feed says up to date."""
    for kind, count in list(receiver.lost.items()):
        feed.lost[kind] = count
    if judge.other is not None:
        feed.notice(
            f"datagrams look like format '{judge.other}', not '{judge.kind}', and are left out; "
            f"name the source udp://...?format={judge.other} to read them"
        )
    if (mixed := receiver.senders.mixed) is not None:
        feed.notice(
            f"{mixed[0]} and {mixed[1]} both send to this port; their events are mixed into one picture. "
            "Give each camera a port of its own"
        )


_NONE = Events.concatenate([])
