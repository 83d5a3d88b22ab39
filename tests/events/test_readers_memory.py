"""Memory does not grow with what is read: files of every streamed kind, and the queue of a live source."""

import socket
import tracemalloc

import numpy as np
import pytest

from nirbridge_events import open_recording
from nirbridge_events.live import receiver as module
from nirbridge_events.live.batch import Batch

COUNT = 1_500_000
# Blocks of 256 KiB or 65536 rows, their decoded columns and what is held back to be sorted.
LIMIT = 40 << 20


def evt2(count):
    t = np.arange(count, dtype=np.int64)
    low = (t & 63).astype("<u4") << 22 | 1 << 28 | 5 << 11 | 7
    words = np.empty((count // 64, 65), dtype="<u4")
    words[:, 0] = 8 << 28 | np.arange(count // 64)
    words[:, 1:] = low[: count // 64 * 64].reshape(-1, 64)
    return b"% evt 2.0\n" + words.tobytes()


def dat(count):
    records = np.empty((count, 2), dtype="<u4")
    records[:, 0], records[:, 1] = np.arange(count), 1 << 28 | 7 << 14 | 5
    return b"% Version 2\n\x0c\x08" + records.tobytes()


def csv(count):
    return b"".join(b"%d,5,7,1\n" % t for t in range(count // 3))


@pytest.mark.parametrize("make", [evt2, dat, csv])
def test_a_file_is_never_held_whole(tmp_path, make):
    path = tmp_path / "a"
    path.write_bytes(make(COUNT))
    recording = open_recording(path, (34, 34))
    tracemalloc.start()
    try:
        events = sum(len(chunk) for chunk in recording)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert events >= COUNT // 3 - 64
    assert peak < LIMIT


def test_a_compressed_archive_is_never_held_whole(tmp_path):
    np.savez_compressed(
        tmp_path / "a.npz", t=np.arange(2 * COUNT), **{name: np.zeros(2 * COUNT, "i8") for name in "xyp"}
    )
    recording = open_recording(tmp_path / "a.npz", (34, 34))
    tracemalloc.start()
    try:
        assert sum(len(chunk) for chunk in recording) == 2 * COUNT
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < LIMIT


def test_empty_datagrams_fill_the_queue_too(monkeypatch):
    monkeypatch.setattr(module, "QUEUE_BYTES", 10 * module.OVERHEAD)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        receiver = module.Receiver(sock)
        for _ in range(25):
            receiver._put(Batch([b""], np.zeros(1, dtype=np.int64), ["127.0.0.1:1"]))
        assert (receiver.datagrams, receiver.lost[module.NOT_READ]) == (10, 15)
        receiver.discard()
        assert receiver.lost[module.NOT_READ] == 25
        receiver.close()
