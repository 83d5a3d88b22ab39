"""Live UDP on loopback: what was sent arrives, whatever comes besides is counted, and it ends when it should."""

import contextlib
import socket
import sys
import threading
import time
import warnings
from collections import Counter

import numpy as np
import pytest

from nirbridge.errors import InputError
from nirbridge_events import Events, open_recording
from nirbridge_events.live import batch as batch_module
from nirbridge_events.live import receiver as receiver_module
from nirbridge_events.live.clock import BACK, LiveClock
from nirbridge_events.live.datagrams import BAD_POLARITY, MALFORMED, Datagrams, decode_faery, decode_spif
from tests.events import naive
from tests.events import naive_formats as formats

SENSOR = (128, 128)


@contextlib.contextmanager
def listening(options="idle=0.3", sensor_size=SENSOR, **more):
    """A recording on a free port of loopback, and a socket that sends to it."""
    with (
        open_recording(f"udp://127.0.0.1:0?{options}", sensor_size, **more) as recording,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
    ):
        sender.connect(("127.0.0.1", int(recording.name.rsplit(":", 1)[1])))
        yield recording, sender
    assert not any(thread.name == "nirbridge-udp" for thread in threading.enumerate())


def make(seed, count=5000, span=400_000, start=1000):
    return naive.make_events(np.random.default_rng(seed), count, SENSOR, span, start)


def packets(rows, size=60):
    return [formats.spif_words(rows[i : i + size]) for i in range(0, len(rows), size)]


def collect(recording):
    return Events.concatenate([chunk for chunk in recording if len(chunk)])


def test_spif_datagrams_equal_a_decoder_word_by_word():
    rng = np.random.default_rng(0)
    for trial in range(60):
        parts = []
        for _ in range(int(rng.integers(1, 30))):
            words = rng.integers(0, 1 << 32, int(rng.integers(0, 20)), dtype=np.uint64).astype("<u4")
            # All three kinds: without times, with times, and at random.
            words = words | 0x80000000 if trial % 3 == 0 else words & 0x7FFFFFFF if trial % 3 == 1 else words
            parts.append(words.astype("<u4").tobytes() + bytes(int(rng.integers(0, 4)) if rng.random() < 0.2 else 0))
        wanted = [formats.decode_spif(part) for part in parts]
        lost: Counter[str] = Counter()
        events = decode_spif(Datagrams(parts, np.arange(len(parts), dtype=np.int64)), LiveClock(32), lost)
        rows = [row for found, _ in wanted for row in found]
        assert list(zip(events.x.tolist(), events.y.tolist(), events.p.tolist(), strict=True)) == [r[1:] for r in rows]
        assert lost[MALFORMED] == sum(broken for _, broken in wanted)


@pytest.mark.parametrize("start", [1000, (1 << 32) - 200_000])
def test_times_arrive_exactly_over_the_wrap_of_32_bits(start):
    rows = naive.rows_of(make(1, start=start))
    with listening() as (recording, sender):
        for packet in packets(rows):
            sender.send(packet)
        assert naive.rows_of(collect(recording)) == rows
    report = recording.report
    assert (report.events, report.wraps, report.resyncs, report.lost) == (5000, int(start > 1000), 0, {})
    assert recording.live
    source = recording.source
    assert (source.format, source.sensor_size, source.size_origin) == ("udp", SENSOR, "given")


def test_events_without_time_take_the_moment_of_their_arrival():
    rows = naive.rows_of(make(2, 300))
    with listening("idle=1.5") as (recording, sender):
        begin = time.monotonic()
        sender.send(formats.spif_words([(None, *row[1:]) for row in rows[:100]]))
        chunks = iter(recording)
        events = [next(chunk for chunk in chunks if len(chunk))]
        time.sleep(0.1)
        sender.send(formats.spif_words([(None, *row[1:]) for row in rows[100:]]))
        events = Events.concatenate([*events, *chunks])
        took = (time.monotonic() - begin) * 1e6
    assert [row[1:] for row in naive.rows_of(events)] == [row[1:] for row in rows]
    steps = np.diff(events.t)
    assert (steps >= 0).all()
    assert 90_000 <= steps.max() == events.t[-1] - events.t[0] <= took


def test_one_datagram_may_mix_both_modes():
    data = formats.spif_words([(5000, 1, 2, 1), (None, 3, 4, 0), (None, 5, 6, 1), (5007, 7, 8, 0), (None, 9, 9, 1)])
    events = decode_spif(Datagrams([data], np.array([77])), LiveClock(32), Counter())
    wanted = [(5000, 1, 2, 1), (5000, 3, 4, 0), (5000, 5, 6, 1), (5007, 7, 8, 0), (5007, 9, 9, 1)]
    assert naive.rows_of(events) == wanted


@pytest.mark.parametrize(("ours", "theirs"), [("faery", "t64_x16_y16_on8"), ("faery32", "t32_x16_y15_on1")])
def test_what_faery_sends_arrives(ours, theirs):
    faery = pytest.importorskip("faery")
    from faery import udp_encoder

    events = make(3)
    array = np.zeros(len(events), dtype=faery.EVENTS_DTYPE)
    array["t"], array["x"], array["y"], array["on"] = events.t, events.x, events.y, events.p
    with listening(f"idle=0.3&format={ours}") as (recording, sender):
        # faery leaves closing its socket to the garbage collector, which warns.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            udp_encoder.encode([array], sender.getpeername(), format=theirs)
        assert naive.rows_of(collect(recording)) == naive.rows_of(events)


def test_overtaken_datagrams_are_sorted_and_those_too_late_counted():
    rows = naive.rows_of(make(4, span=40_000))
    parts = packets(rows, 25)
    # Each pair of neighbours changes places: some 200 µs.
    swapped = [parts[i ^ 1] if i ^ 1 < len(parts) else parts[i] for i in range(len(parts))]
    late = formats.spif_words([(rows[0][0], 1, 1, 1)] * 7)
    with listening(jitter=5000) as (recording, sender):
        for part in [*swapped, late]:
            sender.send(part)
        events = collect(recording)
    assert sorted(naive.rows_of(events)) == sorted(rows)
    assert (np.diff(events.t) >= 0).all()
    assert recording.report.sorted_events > 1000
    assert recording.report.late_events == 7
    assert recording.report.events == 5000
    assert "7 events came too late and were left out." in " ".join(recording.notes())


def test_garbage_and_events_outside_are_counted_and_the_rest_arrives():
    rows = naive.rows_of(make(5, 3000))
    rng = np.random.default_rng(5)
    with listening() as (recording, sender):
        malformed = 0
        for i, packet in enumerate(packets(rows)):
            sender.send(packet)
            if i % 3 == 0:
                sender.send(b"\x01\x02\x03"[: i % 4])
                sender.send(packet[:-4])
                malformed += 2
        events = collect(recording)
    report = recording.report
    assert report.lost == {MALFORMED: malformed}
    arrived = Counter(naive.rows_of(events))
    assert not Counter(rows) - arrived
    with listening() as (recording, sender):
        words = rng.integers(0, 1 << 32, 50_000, dtype=np.uint64).astype("<u4").tobytes()
        sent = [words[i : i + 400] for i in range(0, len(words), 400)]
        for part in sent:
            sender.send(part)
        events = collect(recording)
    wanted = sum(len(formats.decode_spif(part)[0]) for part in sent)
    report = recording.report
    assert len(events) + report.outside_events + report.late_events == wanted
    assert report.outside_events > 0.9 * wanted
    assert report.resyncs > 100
    assert (np.diff(events.t) >= 0).all()


@pytest.mark.parametrize("kind", ["faery", "faery32"])
def test_random_bytes_in_faerys_formats_end_in_counts(kind):
    rng = np.random.default_rng(6)
    with listening(f"idle=0.2&format={kind}") as (recording, sender):
        for _ in range(300):
            sender.send(rng.integers(0, 256, int(rng.integers(0, 500)), dtype=np.uint8).tobytes())
        events = collect(recording)
    report = recording.report
    assert report.lost[MALFORMED] > 200
    assert len(events) + report.outside_events + report.lost.get(BAD_POLARITY, 0) > 1000
    assert (np.diff(events.t) >= 0).all()


def test_a_flood_that_nobody_reads_is_bounded_and_every_datagram_counted(monkeypatch):
    monkeypatch.setattr(receiver_module, "QUEUE_BYTES", 100_000)
    packet = formats.spif_words(naive.rows_of(make(7, 60, span=50)))
    with listening() as (recording, sender):
        chunks = iter(recording)
        assert len(next(chunks)) == 0
        for i in range(4000):
            sender.send(packet)
            if i % 100 == 0:
                time.sleep(0.001)
        time.sleep(0.3)
        events = Events.concatenate(list(chunks))
    report = recording.report
    dropped = sum(count for kind, count in report.lost.items() if "dropped" in kind)
    assert dropped > 3000
    assert (len(events) + report.late_events) // 60 + dropped == 4000
    assert len(events) * 8 <= 100_000
    assert f"{report.lost[receiver_module.NOT_READ]} {receiver_module.NOT_READ}." in " ".join(recording.notes())


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux says what it dropped")
def test_what_the_system_drops_is_counted():
    packet = formats.spif_words(naive.rows_of(make(8, 60, span=50)))
    with listening() as (recording, sender):
        # Nothing is received before the first pass begins, so the system's buffer overflows.
        sent = 60_000
        for _ in range(sent):
            sender.send(packet)
        events = collect(recording)
    report = recording.report
    assert report.lost.get(receiver_module.SYSTEM, 0) > 1000
    dropped = sum(count for kind, count in report.lost.items() if "dropped" in kind)
    assert (len(events) + report.late_events) // 60 + dropped == sent


def test_close_from_another_thread_ends_the_pass_and_frees_the_port():
    with listening("") as (recording, sender):
        port = sender.getpeername()[1]
        timer = threading.Timer(0.5, recording.close)
        timer.start()
        begin = time.monotonic()
        chunks = list(recording)
        assert 0.4 < time.monotonic() - begin < 60
        assert all(len(chunk) == 0 for chunk in chunks)
        assert len(chunks) >= 2
        timer.join()
        with pytest.raises(InputError, match="is read once, from where it is"):
            next(iter(recording))
    with open_recording(f"udp://127.0.0.1:{port}", SENSOR) as again:
        assert again.name == f"udp://127.0.0.1:{port}"


def test_leaving_a_pass_ends_the_thread():
    with listening("") as (recording, sender):
        sender.send(formats.spif_words([(5, 1, 2, 1)]))
        for chunk in recording:
            if len(chunk):
                break
        assert naive.rows_of(chunk) == [(5, 1, 2, 1)]


def test_what_a_pass_leaves_is_counted():
    with listening("") as (recording, sender):
        chunks = iter(recording)
        next(chunks)
        for _ in range(9):
            sender.send(formats.spif_words([(6, 1, 2, 1)]))
        chunks.close()
    assert recording.report.lost == {receiver_module.NOT_READ: 9}


def test_one_datagram_at_a_time_where_the_system_has_no_more(monkeypatch):
    monkeypatch.setattr(batch_module, "_is_linux", lambda: False)
    rows = naive.rows_of(make(9))
    with listening() as (recording, sender):
        for packet in packets(rows):
            sender.send(packet)
        assert naive.rows_of(collect(recording)) == rows


def test_silence_gives_empty_chunks_and_then_the_held_events():
    with listening("idle=2") as (recording, sender):
        sender.send(formats.spif_words([(5000, 1, 2, 1), (5100, 3, 4, 0)]))
        begin, chunks = time.monotonic(), iter(recording)
        first = next(chunk for chunk in chunks if len(chunk))
        assert naive.rows_of(first) == [(5000, 1, 2, 1), (5100, 3, 4, 0)]
        assert time.monotonic() - begin < 1.9
        assert len(list(chunks)) >= 3
        assert time.monotonic() - begin >= 1.9


def test_a_clock_that_starts_again_or_leaps_is_joined_on():
    clock = LiveClock(32)
    counters = np.array([5_000_000, 5_000_010, 7, 17, 4_000_000_000, 4_000_000_003, 3_999_999_990], dtype=np.uint64)
    times = clock.join(counters, np.zeros(7, np.int64))
    assert times.tolist() == [5_000_000, 5_000_010, 5_000_010, 5_000_020, 5_000_020, 5_000_023, 5_000_010]
    assert (clock.resyncs, clock.wraps) == (2, 0)
    # A long silence here makes a long step of the camera's clock believable.
    later = clock.join(np.array([4_010_000_000], np.uint64), np.array([6_000_000]))
    assert later.tolist() == [5_000_010 + 10_000_010]
    assert clock.resyncs == 2
    for last, first, wraps in [((1 << 32) - 5, 6, 1), (6, (1 << 32) - 5, 0)]:
        clock = LiveClock(32)
        assert np.diff(clock.join(np.array([last, first], np.uint64), np.zeros(2, np.int64))) in (11, -11)
        assert clock.wraps == wraps
    assert BACK > 11


def test_polarities_of_faery_other_than_0_and_1_are_counted():
    data = np.zeros(3, [("t", "<u8"), ("x", "<u2"), ("y", "<u2"), ("p", "u1")])
    data["p"], lost = [1, 255, 0], Counter()
    assert decode_faery(Datagrams([data.tobytes()], np.array([0])), LiveClock(64), lost).p.tolist() == [1, 0]
    assert lost[BAD_POLARITY] == 1


def test_times_of_64_bits_that_are_no_times_do_not_end_it():
    data = np.zeros(3, [("t", "<u8"), ("x", "<u2"), ("y", "<u2"), ("p", "u1")])
    data["t"] = [(1 << 64) - 1, 50, 60]
    events = decode_faery(Datagrams([data.tobytes()], np.array([0])), LiveClock(64), Counter())
    assert (np.diff(events.t) >= 0).all()
    assert len(events) == 3


@pytest.mark.parametrize(
    ("source", "size", "found"),
    [
        ("udp://127.0.0.1:99999", SENSOR, "is no address"),
        ("udp://127.0.0.1:abc", SENSOR, "is no address"),
        ("udp://127.0.0.1:0/path", SENSOR, "has more than a host and a port"),
        ("udp://127.0.0.1:0?format=aedat", SENSOR, "format 'aedat' is unknown. Choose of spif, faery, faery32"),
        ("udp://127.0.0.1:0?fromat=spif", SENSOR, "has no option 'fromat'"),
        ("udp://127.0.0.1:0?idle=no", SENSOR, "idle 'no' is no number of seconds"),
        ("udp://127.0.0.1:0?idle=-1", SENSOR, "idle '-1' is no number of seconds"),
        ("udp://127.0.0.1:0?size=12", None, "size '12' is not WIDTHxHEIGHT"),
        ("udp://127.0.0.1:0?size=12x8", SENSOR, "says a sensor of (12, 8) pixels, (128, 128) was given"),
        ("udp://127.0.0.1:0", None, "does not say its sensor size. Add ?size=640x480"),
        ("udp://192.0.2.1:0", SENSOR, "nothing can listen on port"),
    ],
)
def test_names_that_are_wrong(source, size, found):
    with pytest.raises(InputError) as error:
        open_recording(source, size)
    assert found in str(error.value)
    assert "\n" not in str(error.value)


def test_a_port_that_is_taken():
    with listening() as (_, sender), pytest.raises(InputError, match="nothing can listen on port"):
        open_recording(f"udp://127.0.0.1:{sender.getpeername()[1]}", SENSOR)


def test_the_name_may_say_the_size_and_use_ipv6():
    with open_recording("udp://[::1]:0?size=34x35&idle=0.1") as recording:
        assert recording.sensor_size == (34, 35)
        assert recording.name.startswith("udp://[::1]:")
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sender:
            sender.sendto(formats.spif_words([(9, 3, 4, 1)]), ("::1", int(recording.name.rsplit(":", 1)[1])))
            assert naive.rows_of(collect(recording)) == [(9, 3, 4, 1)]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux says what it dropped")
def test_all_that_the_system_holds_at_the_end_is_taken_or_counted():
    """More than it was once left to take in so many batches."""
    sent = 30_000
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock, socket.socket(type=socket.SOCK_DGRAM) as sender:
        sock.bind(("127.0.0.1", 0))
        receiver = receiver_module.Receiver(sock)
        sender.connect(sock.getsockname())
        for _ in range(sent):
            sender.send(b"12345678")
        receiver.start()
        receiver.close()
    assert receiver.datagrams > 0
    assert receiver.datagrams + sum(receiver.lost.values()) == sent
