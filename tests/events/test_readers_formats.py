"""Readers of EVT 2.1, DAT, AEDAT and HDF5 against independent writers, and against other decoders."""

import struct

import h5py
import numpy as np
import pytest

from nirbridge.errors import FileError, InputError
from nirbridge_events import Events, open_recording
from nirbridge_events.readers import base
from tests.events import naive
from tests.events import naive_formats as formats


def read(path, sensor_size=None):
    return Events.concatenate(list(open_recording(path, sensor_size)))


def make(seed, count=400, size=(128, 128), span=100_000, start=5_000):
    return naive.make_events(np.random.default_rng(seed), count, size, span, start)


def write_hdf5(path, rows, geometry="320x240", **how):
    table = np.array([(x, y, p, t) for t, x, y, p in rows], [("x", "<u2"), ("y", "<u2"), ("p", "<i2"), ("t", "<i8")])
    with h5py.File(path, "w") as file:
        file.create_dataset("CD/events", data=table, chunks=(min(64, len(table)),), **how)
        if geometry:
            file.attrs["geometry"] = geometry


def bytes_writer(function):
    return lambda path, rows: path.write_bytes(function(rows))


WRITERS = {
    "evt21.raw": (bytes_writer(formats.write_evt21), "evt21"),
    "legacy.raw": (bytes_writer(lambda rows: formats.write_evt21(rows, legacy=True)), "evt21"),
    "a.dat": (bytes_writer(formats.write_dat), "dat"),
    "dvs128.aedat": (bytes_writer(formats.write_aedat2_dvs128), "aedat2"),
    "davis240.aedat": (bytes_writer(formats.write_aedat2_davis240), "aedat2"),
    "a.aedat": (bytes_writer(formats.write_aedat3), "aedat3"),
    "a.csv": (bytes_writer(formats.write_csv), "csv"),
    "a.hdf5": (write_hdf5, "hdf5"),
}


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("block", [4, 28, 100, 1 << 18])
def test_what_was_written_is_read_whatever_the_block(tmp_path, monkeypatch, name, block):
    monkeypatch.setattr(base, "BLOCK_BYTES", block)
    write, kind = WRITERS[name]
    rows = naive.rows_of(make(block))
    write(tmp_path / name, rows)
    recording = open_recording(tmp_path / name)
    for _ in range(2):
        events = Events.concatenate(list(recording))
        # A vector of EVT 2.1 holds a pixel once, and its pixels come in order of columns.
        wanted = sorted(set(rows)) if kind == "evt21" else rows
        assert (sorted(naive.rows_of(events)) if kind == "evt21" else naive.rows_of(events)) == wanted
    assert recording.source.format == kind
    header = len(formats.HEADER_DAT) * (kind == "hdf5")
    assert recording.current.feed.position >= recording.source.total_bytes - header


@pytest.mark.parametrize(
    ("header", "legacy"),
    [
        (b"% evt 2.1\n% geometry 320x240\n% end\n", False),
        (b"% format EVT21;height=240;width=320\n% end\n", False),
        (b"% format EVT21;endianness=legacy;height=240;width=320\n% end\n", True),
        (b"% format EVT21;endianness=little;height=240;width=320\n% end\n", False),
        (b"% evt 2.1\n% endianness little\n% geometry 320x240\n", False),
        (b"% evt 2.1\n% geometry 320x240\n", True),
    ],
)
def test_evt21_headers(tmp_path, header, legacy):
    end = 1 << 34
    rows = [(end - 70, 33, 2, 1), (end - 70, 40, 2, 1), (end - 9, 5, 3, 0), (end + 3, 1, 1, 1)]
    (tmp_path / "a.raw").write_bytes(formats.write_evt21(rows, header, legacy))
    recording = open_recording(tmp_path / "a.raw")
    assert naive.rows_of(Events.concatenate(list(recording))) == rows
    source = recording.source
    assert (source.sensor_size, source.size_origin) == ((320, 240), "file")
    assert any("legacy" in note for note in recording.notes()) == legacy
    assert recording.report.wraps == 1
    assert any("started again 1 times" in note for note in recording.notes())


def test_evt21_counts_what_is_no_event(tmp_path):
    words = [0x1 << 60 | 0b101, 0x8 << 60 | 1 << 32, 0xA << 60, 0x1 << 60 | 7 << 32 | 0b1, 0xE << 60]
    (tmp_path / "a.raw").write_bytes(formats.HEADER_21 + struct.pack("<5Q", *words))
    recording = open_recording(tmp_path / "a.raw", (34, 34))
    assert [naive.rows_of(chunk) for chunk in recording] == [[(64, 0, 7, 1)]]
    assert recording.report.skipped == {"trigger words": 1, "vendor words": 1, "events before the first time word": 2}
    (tmp_path / "b.raw").write_bytes(b"% evt 2.1\n% endianness big\n" + struct.pack("<Q", 0))
    with pytest.raises(FileError, match="endianness 'big'; little and legacy are read"):
        open_recording(tmp_path / "b.raw")


@pytest.mark.parametrize("version", [1, 2])
def test_dat_equals_faery(tmp_path, version):
    faery = pytest.importorskip("faery")
    events = make(1, size=(304, 240))
    array = np.zeros(len(events), dtype=faery.EVENTS_DTYPE)
    array["t"], array["x"], array["y"], array["on"] = events.t, events.x, events.y, events.p
    path = tmp_path / "a.dat"
    faery.events_stream_from_array(array, (304, 240)).to_file(path, version=f"dat{version}")
    recording = open_recording(path)
    assert naive.rows_of(Events.concatenate(list(recording))) == naive.rows_of(events)
    source = recording.source
    assert (source.format, source.sensor_size, source.size_origin) == ("dat", (304, 240), "file")
    header = f"% Version {version}\n% Width 304\n% Height 240\n".encode()
    path.write_bytes(formats.write_dat(naive.rows_of(events), header, version))
    theirs = faery.events_stream_from_file(path).to_array()
    assert naive.rows_of(read(path)) == list(zip(*(theirs[n].tolist() for n in "txy"), theirs["p"] * 1, strict=True))


@pytest.mark.parametrize("version", ["evt2", "evt3", "dat2"])
@pytest.mark.parametrize("zero", [True, False])
def test_times_of_faery_are_those_it_was_given(tmp_path, version, zero):
    faery = pytest.importorskip("faery")
    events = make(1, size=(304, 240), start=7_000)
    array = np.zeros(len(events), dtype=faery.EVENTS_DTYPE)
    array["t"], array["x"], array["y"], array["on"] = events.t, events.x, events.y, events.p
    path = tmp_path / f"a.{'raw' if version[0] == 'e' else 'dat'}"
    faery.events_stream_from_array(array, (304, 240)).to_file(path, version=version, zero_t0=zero)
    assert sorted(naive.rows_of(read(path))) == sorted(naive.rows_of(events))


def test_dat_equals_expelliarmus(tmp_path):
    wizard = pytest.importorskip("expelliarmus").Wizard(encoding="dat")
    rows = naive.rows_of(make(2, size=(320, 240)))
    (tmp_path / "a.dat").write_bytes(formats.write_dat(rows))
    theirs = wizard.read(str(tmp_path / "a.dat"))
    assert naive.rows_of(read(tmp_path / "a.dat")) == list(zip(*(theirs[n].tolist() for n in "txyp"), strict=True))


def test_dat_wraps_after_32_bits_and_needs_no_header(tmp_path):
    rows = [((1 << 32) - 5, 1, 2, 1), ((1 << 32) + 7, 3, 4, 0)]
    (tmp_path / "a.dat").write_bytes(formats.write_dat(rows, b""))
    recording = open_recording(tmp_path / "a.dat")
    assert naive.rows_of(Events.concatenate(list(recording))) == rows
    assert (recording.sensor_size, recording.source.size_origin, recording.report.wraps) == ((34, 34), "inferred", 1)


def test_aedat2_skips_and_counts_frames_and_marks(tmp_path):
    data = formats.write_aedat2_davis240([(5, 3, 4, 1)])
    data += struct.pack(">IIII", 1 << 31 | 77, 6, 1 << 10, 7) + struct.pack(">II", 179 << 22 | 239 << 12, 8)
    (tmp_path / "a.aedat").write_bytes(data)
    recording = open_recording(tmp_path / "a.aedat")
    assert naive.rows_of(Events.concatenate(list(recording))) == [(5, 3, 4, 1), (8, 0, 0, 0)]
    assert recording.report.skipped == {"frame or IMU words": 1, "external event words": 1}
    source = recording.source
    assert (source.sensor_size, source.size_origin) == ((240, 180), "file")


def test_aedat2_without_a_camera_needs_the_sensor_size(tmp_path):
    rows = naive.rows_of(make(3))
    (tmp_path / "a.aedat").write_bytes(formats.write_aedat2_dvs128(rows, b""))
    with pytest.raises(InputError, match="names no camera. Give its sensor size, one of 128x128"):
        open_recording(tmp_path / "a.aedat")
    recording = open_recording(tmp_path / "a.aedat", (128, 128))
    assert naive.rows_of(Events.concatenate(list(recording))) == rows
    assert recording.source.size_origin == "given"
    with pytest.raises(FileError, match="no one AEDAT 2.0 address layout is known for 34x34 pixels"):
        open_recording(tmp_path / "a.aedat", (34, 34))


def test_aedat2_davis346_equals_tonic(tmp_path):
    tonic_io = pytest.importorskip("tonic.io")
    rows = [(t, x, y, p) for t, x, y, p in naive.rows_of(make(4, size=(346, 260)))]
    body = b"".join(struct.pack(">II", (259 - y) << 22 | (345 - x) << 12 | p << 11, t) for t, x, y, p in rows)
    path = tmp_path / "a.aedat"
    path.write_bytes(b"#!AER-DAT2.0\r\n# Creation time: System.currentTimeMillis() 1\r\n" + body)
    _, _, theirs = tonic_io.read_davis_346(str(path))
    assert naive.rows_of(read(path, (346, 260))) == list(
        zip(*(theirs[n].tolist() for n in "txy"), theirs["p"].astype(int).tolist(), strict=True)
    )


def test_an_aedat2_header_may_be_longer_than_the_first_block(tmp_path):
    rows = naive.rows_of(make(5))
    long = b"".join(b'# <entry key="%06d" value="false"/>\r\n' % i for i in range(5000))
    chip = long + b"# AEChip: ch.unizh.ini.jaer.chip.retina.DVS128\r\n"
    (tmp_path / "a.aedat").write_bytes(formats.write_aedat2_dvs128(rows, chip))
    assert len(long) > base.HEAD_BYTES
    assert naive.rows_of(read(tmp_path / "a.aedat")) == rows


def test_aedat3_overflow_validity_and_other_packets(tmp_path):
    data = formats.HEADER_AEDAT3 + formats.aedat3_packet([((1 << 31) - 2, 1, 2, 1), (0, 9, 9, 1)], valid=[1, 0])
    data += formats.aedat3_packet([(5, 0, 0, 0)] * 3, kind=2) + formats.aedat3_packet([(3, 4, 5, 0)], overflow=1)
    (tmp_path / "a.aedat").write_bytes(data)
    recording = open_recording(tmp_path / "a.aedat")
    rows = naive.rows_of(Events.concatenate(list(recording)))
    assert rows == [((1 << 31) - 2, 1, 2, 1), ((1 << 31) + 3, 4, 5, 0)]
    assert recording.report.skipped == {"frame packets": 1, "events marked invalid": 1}
    assert recording.sensor_size == (240, 180)


def test_aedat3_equals_tonic(tmp_path):
    tonic_io = pytest.importorskip("tonic.io")
    rows = naive.rows_of(make(6, size=(128, 128)))
    header = formats.HEADER_AEDAT3.replace(b"#Start-Time: 2016-01-01\r\n", b"").replace(b"DAVIS240C", b"DVS128")
    packets = b"".join(formats.aedat3_packet(rows[i : i + 50]) for i in range(0, len(rows), 50))
    path = tmp_path / "a.aedat"
    path.write_bytes(header + packets)
    theirs = tonic_io.get_aer_events_from_file(str(path), 3.1, len(header))
    address = theirs["address"]
    wanted = zip(theirs["timeStamp"], address >> 17, address >> 2 & 0x7FFF, address >> 1 & 1, strict=True)
    assert naive.rows_of(read(path)) == [tuple(map(int, row)) for row in wanted] == rows


@pytest.mark.parametrize("how", [{}, {"compression": "gzip"}, {"compression": "lzf", "shuffle": True}])
def test_hdf5_tables(tmp_path, how):
    rows = naive.rows_of(make(8, size=(300, 200)))
    write_hdf5(tmp_path / "a.hdf5", rows, **how)
    recording = open_recording(tmp_path / "a.hdf5")
    assert naive.rows_of(Events.concatenate(list(recording))) == rows
    source = recording.source
    assert (source.sensor_size, source.size_origin) == ((320, 240), "file")
    write_hdf5(tmp_path / "b.hdf5", rows, geometry="")
    assert open_recording(tmp_path / "b.hdf5").source.size_origin == "inferred"


def test_hdf5_columns_with_an_offset(tmp_path):
    rows = naive.rows_of(make(9))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for i, name in enumerate("txyp"):
            file[f"events/{name}"] = np.array([row[i] for row in rows], dtype="i4" if name == "t" else "u2")
        file["t_offset"] = 1_000_000_000_000
    assert naive.rows_of(read(tmp_path / "a.h5")) == [(t + 10**12, x, y, p) for t, x, y, p in rows]


def test_hdf5_with_the_ecf_codec_says_what_is_missing(tmp_path):
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        kind = h5py.h5t.py_create(np.dtype([("x", "<u2"), ("y", "<u2"), ("p", "<i2"), ("t", "<i8")]))
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk((64,))
        # An optional filter may be missing when the table is made.
        plist.set_filter(0x8ECF, h5py.h5z.FLAG_OPTIONAL, ())
        group = file.create_group("CD")
        h5py.h5d.create(group.id, b"events", kind, h5py.h5s.create_simple((100,)), plist)
    with pytest.raises(FileError) as error:
        open_recording(tmp_path / "a.hdf5")
    assert "compressed with Prophesee's ECF codec (HDF5 filter 36559), which is not installed here" in str(error.value)
    assert "HDF5_PLUGIN_PATH" in str(error.value)


def test_hdf5_links_to_other_files_are_not_followed(tmp_path):
    write_hdf5(tmp_path / "secret.hdf5", [(1, 2, 3, 1)])
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        file["CD/events"] = h5py.ExternalLink("secret.hdf5", "/CD/events")
    with h5py.File(tmp_path / "b.hdf5", "w") as file:
        for name in "txyp":
            file[f"events/{name}"] = h5py.ExternalLink("secret.hdf5", "/CD/events")
    with h5py.File(tmp_path / "c.hdf5", "w") as file:
        file["events"] = h5py.ExternalLink("missing.hdf5", "/events")
    for name in ("a.hdf5", "b.hdf5", "c.hdf5"):
        with pytest.raises(FileError) as error:
            open_recording(tmp_path / name)
        assert "HDF5" in str(error.value) or "is a link to another place" in str(error.value)
