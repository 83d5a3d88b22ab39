"""Events in HDF5 files: the layouts of public tools and data sets, sizes beside them, filters, hostile files."""

import sys

import h5py
import numpy as np
import pytest

from nirbridge.errors import FileError, InputError
from nirbridge_events import Events, open_recording
from tests.events import naive

COUNT = 600
T, X, Y, P = (np.arange(COUNT) * 40 + 5, np.arange(COUNT) * 7 % 346, np.arange(COUNT) * 3 % 260, np.arange(COUNT) % 2)
EPOCH = 1_504_645_177_420_000


def group(file, path, columns="txyp", t=T, p=P):
    for name, values in zip(columns, (t, X.astype("u2"), Y.astype("u2"), p), strict=True):
        file[f"{path}/{name}".strip("/")] = values


def dsec(file):
    group(file, "events", t=T.astype("u4"), p=P.astype("u1"))
    file["t_offset"], file["ms_to_idx"] = EPOCH, np.arange(40, dtype="u8")


def rvt(file):
    group(file, "events", t=T.astype("i8"))
    file["events/height"], file["events/width"] = 720, 1280


def m3ed(file):
    group(file, "prophesee/left", p=P.astype("i1"))
    file["prophesee/left/calib/resolution"] = (1280, 720)
    file["ovc/left/data"] = np.zeros((3, 4))


def contrast_maximisation(file):
    group(file, "events", ("ts", "xs", "ys", "ps"), T / 1e6, P.astype(bool))
    file.attrs["sensor_resolution"] = (260, 346)


def mvsec(file):
    file["davis/left/events"] = np.stack([X, Y, (T + EPOCH) / 1e6, 2 * P - 1], 1)
    file["davis/left/imu"] = np.zeros((9, 6))


def prophesee(file):
    file["CD/events"] = np.rec.fromarrays([X, Y, P, T], names="x,y,p,t")
    file["EXT_TRIGGER/events"] = np.rec.fromarrays([P, T, T], names="p,t,id")
    file.attrs["geometry"] = "640x480"


def in_attributes(file):
    group(file, "events", t=T * 1000)
    file["events/t"].attrs["units"] = np.bytes_("Nanoseconds")
    file["events"].attrs["t_offset"] = EPOCH * 1000


LAYOUTS = {
    "v2e": (lambda file: file.create_dataset("events", data=np.stack([T, X, Y, P], 1), compression="gzip"), 0, None),
    "DSEC": (dsec, EPOCH, None),
    "RVT, eTraM": (rvt, 0, (1280, 720)),
    "M3ED": (m3ed, 0, (1280, 720)),
    "contrast maximisation, EvTexture": (contrast_maximisation, 0, (346, 260)),
    "MVSEC": (mvsec, EPOCH, None),
    "Prophesee": (prophesee, 0, (640, 480)),
    "arrays at the root": (lambda file: group(file, ""), 0, None),
    "unit and offset in attributes": (in_attributes, EPOCH, None),
    "nanoseconds": (lambda file: group(file, "events", ("timestamp_ns", "x", "y", "polarity"), T * 1000), 0, None),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts_of_public_files(tmp_path, name):
    make, offset, size = LAYOUTS[name]
    with h5py.File(tmp_path / "a.h5", "w") as file:
        make(file)
    recording = open_recording(tmp_path / "a.h5")
    rows = naive.rows_of(Events.concatenate(list(recording)))
    assert rows == list(zip((T + offset).tolist(), X.tolist(), Y.tolist(), P.tolist(), strict=True))
    assert recording.sensor_size == (size or (346, 260))
    assert recording.source.size_origin == ("file" if size else "inferred")


def test_a_pair_that_allows_two_sizes_is_said_and_can_be_turned(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        contrast_maximisation(file)
    names = ("t", "x", "y", "p")
    np.savez(tmp_path / "a.npz", **dict(zip(names, (T, X % 200, Y % 200, P), strict=True)), resolution=(260, 346))
    for name in ("a.h5", "a.npz"):
        recording = open_recording(tmp_path / name)
        assert recording.sensor_size == (346, 260)
        assert "260, 346 is taken as 346x260 pixels; --sensor 260x346 turns it" in " ".join(recording.notes())
        turned = open_recording(tmp_path / name, (260, 346))
        assert turned.sensor_size == (260, 346)
        assert "taken as 346x260" not in " ".join(turned.notes())


def test_a_pixel_beyond_the_stated_size_does_not_enlarge_the_sensor(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        rvt(file)
        file["events/x"][300] = 33_014
    recording = open_recording(tmp_path / "a.h5")
    assert recording.sensor_size == (1280, 720)
    with pytest.raises(FileError, match=r"\(33014, 120\), outside the sensor of 1280x720"):
        list(recording)


def spikes(path, channels=700):
    with h5py.File(path, "w") as file:
        for name, kind in (("times", "f2"), ("units", "u2")):
            file.create_dataset(f"spikes/{name}", (2,), h5py.vlen_dtype(kind))
        for i in range(2):
            file["spikes/times"][i] = np.arange(50 + i) / 64
            file["spikes/units"][i] = (np.arange(50 + i) * 13 + i) % channels
        file["labels"] = [3, 4]


def test_spikes_of_a_cochlea_are_read_sample_by_sample(tmp_path):
    spikes(tmp_path / "shd.h5")
    with pytest.raises(InputError, match="holds 2 samples of spikes. Choose one with --sample 0 to 1"):
        open_recording(tmp_path / "shd.h5")
    with pytest.raises(InputError, match="has no sample 2"):
        open_recording(tmp_path / "shd.h5", sample=2)
    recording = open_recording(tmp_path / "shd.h5", sample=1)
    rows = naive.rows_of(Events.concatenate(list(recording)))
    assert rows == [(i * 15625, (i * 13 + 1) % 700, 0, 1) for i in range(51)]
    assert recording.sensor_size == (700, 1)


def test_damaged_lists_are_refused_before_the_library_reads_them(tmp_path):
    """It crashes on a kind of list that it does not know, and reads for ever in a heap that leads nowhere."""
    spikes(tmp_path / "shd.h5")
    whole = (tmp_path / "shd.h5").read_bytes()
    with h5py.File(tmp_path / "shd.h5") as file:
        # the type's own four bytes and its size, without the two in front that are not stored so
        kind = file["spikes/units"].id.get_type().encode()[2:10]
    for place, value, found in (
        (whole.index(kind) + 1, 2, "is damaged .the type of '/spikes/(times|units)'."),
        (whole.index(b"GCOL") + 9, 0x2C, "is damaged .its texts at byte"),
    ):
        damaged = bytearray(whole)
        damaged[place] = value
        (tmp_path / "damaged.h5").write_bytes(damaged)
        with pytest.raises(FileError, match=found):
            open_recording(tmp_path / "damaged.h5", sample=0)


@pytest.mark.parametrize("extra", [{}, {"sample": 0}, {"columns": "t,x,y,p"}])
def test_what_is_not_known_is_listed(tmp_path, extra):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["dvs/data"], file["dvs/timestamp"] = np.zeros((5, 64)), np.zeros(5)
    with pytest.raises(FileError) as error:
        open_recording(tmp_path / "a.h5", **extra)
    assert "without known events; it holds dvs/data (5, 64), dvs/timestamp (5,)" in str(error.value)


def test_options_that_do_not_apply_are_refused(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        rvt(file)
    for extra, found in (({"sample": 0}, "--sample does not apply"), ({"columns": "x,y,t,p"}, "--columns does not")):
        with pytest.raises(InputError, match=found):
            open_recording(tmp_path / "a.h5", **extra)


def filtered(path, code):
    with h5py.File(path, "w") as file:
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk((64,))
        plist.set_filter(code, h5py.h5z.FLAG_OPTIONAL, ())
        events = file.create_group("events")
        for name in "txyp":
            h5py.h5d.create(events.id, name.encode(), h5py.h5t.NATIVE_INT64, h5py.h5s.create_simple((100,)), plist)


@pytest.mark.parametrize(("code", "name"), [(32001, "Blosc"), (32015, "Zstandard"), (32004, "LZ4")])
def test_a_missing_filter_names_the_package_that_brings_it(tmp_path, monkeypatch, code, name):
    if h5py.h5z.filter_avail(code):
        pytest.skip("hdf5plugin is loaded, and stays")
    monkeypatch.setitem(sys.modules, "hdf5plugin", None)
    filtered(tmp_path / "a.h5", code)
    with pytest.raises(FileError) as error:
        open_recording(tmp_path / "a.h5")
    assert f"compressed with {name} (HDF5 filter {code})" in str(error.value)
    assert "pip install hdf5plugin" in str(error.value)


def test_filters_of_hdf5plugin_are_used(tmp_path):
    plugin = pytest.importorskip("hdf5plugin")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        table = np.stack([T, X, Y, P], 1)
        file.create_dataset("events", data=table, chunks=(100, 4), **plugin.Blosc(cname="zstd"))
    assert sum(map(len, open_recording(tmp_path / "a.h5"))) == COUNT


def test_rows_that_were_never_written_are_no_events(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name in "txyp":
            file.create_dataset(f"events/{name}", (1 << 40,), "i8", chunks=(1 << 12,))
            file[f"events/{name}"][:10] = 1
    with pytest.raises(FileError, match="claims 1099511627776 rows, of which not all were written"):
        open_recording(tmp_path / "a.h5")


def test_a_file_of_many_groups_is_not_walked_without_end(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for i in range(40):
            for k in range(20):
                file[f"g{i}/d{k}"] = 0
        file["g0/self"] = file["g0"]
        file["g39/events/t"], file["g39/events/x"] = np.zeros(3), np.zeros(3)
    with pytest.raises(FileError) as error:
        open_recording(tmp_path / "a.h5")
    assert len(str(error.value)) < 1000


def test_columns_of_unequal_length_are_refused(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name, count in zip("txyp", (3, 3, 3, 2), strict=True):
            file[f"events/{name}"] = np.arange(count)
    with pytest.raises(FileError, match=r"the columns in 'events' have \[2, 3\] values"):
        open_recording(tmp_path / "a.h5")


@pytest.mark.parametrize("offset", [np.nan, np.zeros(3), b"now"])
def test_an_offset_of_times_must_be_a_number(tmp_path, offset):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        rvt(file)
        file["t_offset"] = offset
    with pytest.raises(FileError, match="its t_offset, which is added to all times, is no number"):
        open_recording(tmp_path / "a.h5")
