"""Live UDP on loopback: events sent against events received and events reported lost, and the memory over time.

    python benchmarks/udp_loopback.py --seconds 30 --rate 1000000

A process of its own sends SPIF datagrams at the rate; this one receives them as ``nirbridge stream udp://...`` does.
Exit code 1 if an event is missing that no count explains, or memory grew by more than 16 MiB after the first second.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import socket
import sys
import time
from multiprocessing.connection import Connection

import numpy as np

from nirbridge_events import open_recording

SENSOR = (640, 480)
EVENTS_PER_DATAGRAM = 64
IDLE_SECONDS = 1.0
ALLOWED_GROWTH = 16 << 20


def send(port: int, rate: int, seconds: float, started: Connection) -> None:
    """Sends datagrams of 64 events with times, evenly, catching up when the system held it back."""
    rng = np.random.default_rng(0)
    words = np.empty((4096, EVENTS_PER_DATAGRAM, 2), dtype="<u4")
    words[..., 0] = rng.integers(0, SENSOR[0], words.shape[:2]) << 16 | rng.integers(0, SENSOR[1], words.shape[:2])
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.connect(("127.0.0.1", port))
    period = EVENTS_PER_DATAGRAM / rate
    begin, sent, late = time.perf_counter(), 0, 0.0
    started.send("begun")
    while (now := time.perf_counter() - begin) < seconds:
        due = int(now / period)
        for i in range(sent, min(due, sent + 256)):
            datagram = words[i % len(words)]
            datagram[:, 1] = int(i * period * 1e6)
            sock.send(datagram)
        late = max(late, now - sent * period)
        sent = min(due, sent + 256)
        time.sleep(0.0005)
    started.send((sent * EVENTS_PER_DATAGRAM, time.perf_counter() - begin, late))


def resident() -> int:
    """Bytes of memory that this process holds."""
    with open("/proc/self/statm") as file:  # noqa: PTH123
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def measure(rate: int, seconds: float) -> dict[str, object]:
    """One run; what was sent, received and lost."""
    recording = open_recording(f"udp://127.0.0.1:0?idle={IDLE_SECONDS}", SENSOR)
    port = int(recording.name.rsplit(":", 1)[1])
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    sender = multiprocessing.get_context("spawn").Process(target=send, args=(port, rate, seconds, theirs))
    sender.start()
    ours.recv()
    memory, received, begin = [], 0, time.perf_counter()
    for chunk in recording:
        received += len(chunk)
        if time.perf_counter() - begin >= 1 + 0.1 * len(memory):
            memory.append(resident())
    sent, took, late = ours.recv()
    sender.join()
    report = recording.report
    dropped = sum(count for kind, count in report.lost.items() if "dropped" in kind)
    explained = received + report.late_events + report.outside_events + dropped * EVENTS_PER_DATAGRAM
    return {
        "rate_asked": rate,
        "rate_sent": round(sent / took),
        "sender_behind_ms": round(late * 1e3, 1),
        "seconds": round(took, 2),
        "sent": sent,
        "received": received,
        "reported_lost": explained - received,
        "unreported": sent - explained,
        "memory_growth_bytes": max(memory) - memory[0] if memory else 0,
        "report": report.to_dict(),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--rate", type=int, default=1_000_000, help="events per second")
    options = parser.parse_args()
    result = measure(options.rate, options.seconds)
    print(json.dumps(result, indent=2))
    return int(result["unreported"] != 0 or int(str(result["memory_growth_bytes"])) > ALLOWED_GROWTH)


if __name__ == "__main__":
    sys.exit(main())
