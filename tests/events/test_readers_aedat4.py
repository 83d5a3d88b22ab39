"""The reader of AEDAT 4.0 against bytes put together by hand, against faery, and against hostile files."""

import os
import struct
import tracemalloc

import lz4.frame
import numpy as np
import pytest
import zstandard

from nirbridge.errors import FileError, InputError
from nirbridge_events import Events, Recording, open_recording
from nirbridge_events.live.stdin import open_stdin
from nirbridge_events.readers import aedat4, base
from tests.events import naive
from tests.events import naive_formats as formats

ROWS = naive.rows_of(naive.make_events(np.random.default_rng(7), 1000, (128, 128), 100_000, 5_000))


def read(path, data, **how):
    path.write_bytes(data)
    recording = open_recording(path, **how)
    return recording, naive.rows_of(Events.concatenate(list(recording)))


def test_bytes_by_hand(tmp_path):
    packet = bytes.fromhex(
        "00000000 40000000"  # stream 0, a body of 64 bytes
        "3c000000"  # a FlatBuffer of 60 bytes
        "10000000 45565453"  # its root at 16, "EVTS"
        "0600 0800 0400 0000"  # a list of 6 bytes, a table of 8, whose field 0 is at 4
        "08000000 04000000"  # the list is 8 before the table; the vector is 4 after this field
        "02000000"  # two events
        "0102000000000000 0300 0400 01 000000"  # t = 513, x = 3, y = 4, ON
        "0202000000000000 7f00 0000 00 000000"  # t = 514, x = 127, y = 0, OFF
    )
    recording, rows = read(tmp_path / "a.aedat4", formats.aedat4_header(compression=0) + packet)
    assert rows == [(513, 3, 4, 1), (514, 127, 0, 0)]
    source = recording.source
    assert (source.format, source.sensor_size, source.size_origin) == ("aedat4", (128, 128), "file")


@pytest.mark.parametrize("compression", range(5))
@pytest.mark.parametrize(("block", "piece"), [(4, 1), (100, 7), (1 << 18, 1 << 16)])
def test_what_was_written_is_read(tmp_path, monkeypatch, compression, block, piece):
    from nirbridge_events.readers import unpacking

    monkeypatch.setattr(base, "BLOCK_BYTES", block)
    monkeypatch.setattr(unpacking, "BLOCK_BYTES", block)
    monkeypatch.setattr(aedat4, "PIECE_EVENTS", piece)
    data = formats.write_aedat4(ROWS[:300], compression, size=130)
    recording, rows = read(tmp_path / "a.aedat4", data)
    assert rows == ROWS[:300]
    assert recording.report.lines() == []
    # A second pass, as streaming makes one.
    assert naive.rows_of(Events.concatenate(list(recording))) == ROWS[:300]


@pytest.mark.parametrize("compression", [None, ("lz4", 9), ("zstd", 3)])
def test_files_of_faery(tmp_path, compression):
    faery = pytest.importorskip("faery")
    events = naive.make_events(np.random.default_rng(7), 20_000, (320, 240), 100_000, 5_000)
    array = np.zeros(len(events), dtype=faery.EVENTS_DTYPE)
    array["t"], array["x"], array["y"], array["on"] = events.t, events.x, events.y, events.p
    path = tmp_path / "a.aedat4"
    faery.events_stream_from_array(array, (320, 240)).to_file(path, compression=compression)
    recording = open_recording(path)
    assert naive.rows_of(Events.concatenate(list(recording))) == naive.rows_of(events)
    assert (recording.sensor_size, recording.notes()) == ((320, 240), [])


@pytest.mark.parametrize("compression", range(5))
def test_faery_reads_the_same(tmp_path, compression):
    faery = pytest.importorskip("faery")
    path = tmp_path / "a.aedat4"
    _, rows = read(path, formats.write_aedat4(ROWS, compression))
    theirs = faery.events_stream_from_file(path).to_array()
    assert rows == list(zip(*(theirs[n].tolist() for n in "txy"), theirs["p"].astype(int).tolist(), strict=True))


def test_a_recording_that_broke_off_is_read_as_far_as_it_goes(tmp_path):
    whole = formats.write_aedat4(ROWS, compression=0, table=False)
    recording, rows = read(tmp_path / "a.aedat4", whole)
    assert rows == ROWS
    assert "has no table of packets, as if it broke off; it is read to its end" in recording.notes()[0]
    start = len(formats.aedat4_header())
    rng, partial = np.random.default_rng(1), 0
    for cut in rng.integers(start, len(whole), 60).tolist():
        (tmp_path / "a.aedat4").write_bytes(whole[:cut])
        recording = open_recording(tmp_path / "a.aedat4")
        try:
            rows = naive.rows_of(Events.concatenate(list(recording)))
        except FileError as error:
            assert "holds no event" in str(error)
            rows = []
        assert rows == ROWS[: len(rows)]
        at = start
        while at + 8 <= cut and at + 8 + struct.unpack_from("<i", whole, at + 4)[0] <= cut:
            at += 8 + struct.unpack_from("<i", whole, at + 4)[0]
        needed = 8 + (struct.unpack_from("<i", whole, at + 4)[0] if at + 8 <= cut else 0)
        missing = at + needed - cut if at < cut else 0
        assert recording.report.lost == ({base.BROKE_OFF: missing} if missing else {})
        partial += len(rows) % 400 > 0
    assert partial > 20


def test_other_streams_are_counted(tmp_path):
    streams = ((3, "EVTS", 128, 128), (1, "FRME", 128, 128), (2, "IMUS", 0, 0), (7, "EVTS", 64, 64))
    others = b"".join(formats.aedat4_packet(number, b"anything") for number in (1, 1, 2))
    others += formats.aedat4_packet(7, formats.aedat4_events([(5, 6, 7, 1)]))
    data = formats.write_aedat4(ROWS[:50], streams=streams, others=others)
    with pytest.raises(InputError, match="holds events of 2 cameras: 3, 7. Choose one with --camera"):
        read(tmp_path / "a.aedat4", data)
    recording, rows = read(tmp_path / "a.aedat4", data, camera=3)
    assert rows == ROWS[:50]
    assert recording.report.skipped == {"FRME packets": 2, "IMUS packets": 1}
    assert recording.report.lost == {aedat4.OTHER_EVENTS: 1}
    recording, rows = read(tmp_path / "a.aedat4", data, camera="7")
    assert (rows, recording.sensor_size) == ([(5, 6, 7, 1)], (64, 64))


def test_a_stream_that_does_not_say_its_size(tmp_path):
    streams = ((0, "EVTS", "?", ""),)
    recording, rows = read(tmp_path / "a.aedat4", formats.write_aedat4(ROWS[:50], streams=streams))
    assert (rows, recording.sensor_size, recording.source.size_origin) == (ROWS[:50], (128, 128), "inferred")


def test_packets_without_events(tmp_path):
    # The second leaves its vector out: the list of fields of its table is empty.
    bare = struct.pack("<II4sHHi", 16, 12, b"EVTS", 4, 4, 4)
    others = b"".join(formats.aedat4_packet(0, data) for data in (formats.aedat4_events([]), bare))
    assert read(tmp_path / "a.aedat4", formats.write_aedat4(ROWS[:5], others=others))[1] == ROWS[:5]


def test_through_a_pipe():
    data = formats.write_aedat4(ROWS[:600])
    reading, writing = os.pipe()
    os.write(writing, data[: 1 << 16])
    os.close(writing)
    assert len(data) < 1 << 16
    assert naive.rows_of(Events.concatenate(list(Recording(open_stdin("-", descriptor=reading), 1000)))) == ROWS[:600]
    os.close(reading)


@pytest.mark.parametrize(("compression", "package"), [(1, "lz4"), (4, "zstandard")])
def test_a_package_that_is_missing_is_named(tmp_path, monkeypatch, compression, package):
    (tmp_path / "a.aedat4").write_bytes(formats.write_aedat4(ROWS[:5], compression))
    monkeypatch.setitem(__import__("sys").modules, package, None)
    with pytest.raises(FileError, match=f"the package {package} is not installed. Install it with: pip install"):
        open_recording(tmp_path / "a.aedat4")


EVENTS = formats.aedat4_events(ROWS[5:10])
HEADERS = {
    "compressed by method 5; 0 to 4 are read": formats.aedat4_header(5),
    "table of packets should be at offset 7, before": formats.aedat4_header(table=7),
    "has no stream of events, only FRME": formats.aedat4_header(streams=((0, "FRME", 1, 1),)),
    "has no stream of events, only nothing": formats.aedat4_header(streams=()),
    "is no XML": formats.aedat4_header(text=b"<dv><node>"),
    "is no XML ('utf-8' codec": formats.aedat4_header(text=b"<dv>\xff</dv>"),
    "declares a document type": formats.aedat4_header(text=b'<!DOCTYPE a [<!ENTITY b "bbbb">]><dv>&b;</dv>'),
    "holds b'EVTS' instead of IOHE": formats.aedat4_header().replace(b"IOHE", b"EVTS"),
    "its header of 4294967295 bytes is damaged or cut": b"#!AER-DAT4.0\r\n" + b"\xff" * 100,
    "a text of 999999 bytes at": formats.aedat4_header(text=b"")[:-5] + struct.pack("<IB", 999_999, 0),
    "claims to be 64 bytes of stream 1": formats.aedat4_header() + struct.pack("<ii", 1, 64),
    "claims to be -1 bytes of stream 0": formats.aedat4_header() + struct.pack("<ii", 0, -1),
}
BODIES = {
    "holds b'EVTX' instead of EVTS": formats.aedat4_events(ROWS[5:10], kind=b"EVTX"),
    "holds b'' instead of EVTS": b"",
    "its 4294967295 events end at": formats.aedat4_events(ROWS[5:10], count=0xFFFFFFFF),
    "its 6 events end at 128 of 112 bytes": formats.aedat4_events(ROWS[5:10], count=6),
    "of events are missing": EVENTS[:-16],
    "it does not end where it says": EVENTS + b"x",
    "lie outside": EVENTS[:4] + struct.pack("<I", 0x7FFFFFFF) + EVENTS[8:],
    "a list of fields has 1 bytes": EVENTS[:12] + struct.pack("<H", 1) + EVENTS[14:],
    "2 bytes at -2147483627 lie outside": EVENTS[:20] + struct.pack("<i", (1 << 31) - 1) + EVENTS[24:],
    "claims 4294967299 bytes unpacked, at most 268435456": b"\xff" * 4 + EVENTS[4:],
    "its 5 events end at 112 of 200000000 bytes": struct.pack("<I", 199_999_996) + EVENTS[4:],
}


@pytest.mark.parametrize("found", HEADERS)
def test_headers_that_are_wrong(tmp_path, capfd, found):
    with pytest.raises(FileError) as error:
        read(tmp_path / "a.aedat4", HEADERS[found])
    assert found in str(error.value)
    assert "\n" not in str(error.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("found", BODIES)
@pytest.mark.parametrize("compression", range(5))
def test_packets_that_are_wrong(tmp_path, capfd, found, compression):
    others = formats.aedat4_packet(0, BODIES[found], compression)
    (tmp_path / "a.aedat4").write_bytes(formats.write_aedat4(ROWS[:5], compression, others=others))
    rows = []
    chunks = (rows.extend(naive.rows_of(chunk)) for chunk in open_recording(tmp_path / "a.aedat4"))
    with pytest.raises(FileError) as error:
        list(chunks)
    assert len(rows) >= 5
    assert rows == ROWS[: len(rows)]
    start = len(formats.write_aedat4(ROWS[:5], compression, table=False))
    assert f"the packet at offset {start} is damaged" in str(error.value)
    assert found in str(error.value)
    assert "\n" not in str(error.value)
    assert capfd.readouterr() == ("", "")


def test_a_table_of_packets_that_is_missed(tmp_path):
    data = formats.aedat4_header(table=20_000) + formats.aedat4_packet(0, EVENTS)
    assert read(tmp_path / "a.aedat4", data)[0].report.lost == {base.BROKE_OFF: 8}
    table = len(formats.aedat4_header()) + 20
    data = formats.aedat4_header(table=table) + formats.aedat4_packet(0, EVENTS)
    with pytest.raises(FileError, match="claims to be .* bytes of stream 0"):
        read(tmp_path / "a.aedat4", data)


def bomb(compression, count):
    """A packet of a few kilobytes that unpacks to ``count`` events of time 0."""
    head = formats.aedat4_events([], count=count)
    data = struct.pack("<I", len(head) - 4 + 16 * count) + head[4:] + bytes(16 * count)
    compress = lz4.frame.compress if compression == 1 else zstandard.ZstdCompressor().compress
    body = compress(data)
    return formats.aedat4_header(compression) + struct.pack("<ii", 0, len(body)) + body


@pytest.mark.parametrize("compression", [1, 3])
def test_what_unpacks_to_a_lot_takes_little_memory(tmp_path, compression):
    count = 4_000_000
    (tmp_path / "a.aedat4").write_bytes(bomb(compression, count))
    recording = open_recording(tmp_path / "a.aedat4")
    tracemalloc.start()
    try:
        events = sum(len(chunk) for chunk in recording)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (events, (tmp_path / "a.aedat4").stat().st_size < 400_000) == (count, True)
    assert peak < 16 << 20
    limit = aedat4.LARGEST_PACKET // 16
    (tmp_path / "b.aedat4").write_bytes(bomb(compression, limit))
    with pytest.raises(FileError, match="bytes unpacked, at most 268435456 are read"):
        next(iter(open_recording(tmp_path / "b.aedat4")))


def test_a_zstd_window_that_is_too_large_is_refused(tmp_path):
    data = formats.aedat4_events(ROWS[:5])
    parameters = zstandard.ZstdCompressionParameters(window_log=28)
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    body = packer.compress(data) + packer.flush()
    with pytest.raises(FileError, match="is damaged"):
        read(tmp_path / "a.aedat4", formats.aedat4_header(3) + struct.pack("<ii", 0, len(body)) + body)
