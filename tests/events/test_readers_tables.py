"""Readers of CSV and NumPy files, whatever the order of columns, the separator and the block."""

import zipfile

import numpy as np
import pytest

from nirbridge.errors import FileError, InputError
from nirbridge_events import Events, open_recording
from nirbridge_events.readers import base, numpy_array
from tests.events import naive
from tests.events import naive_formats as formats

ROWS = [(1_000_000, 1, 2, 1), (1_000_500, 33, 0, 0), (1_000_501, 7, 33, 1)]


def read(path, sensor_size=None):
    return Events.concatenate(list(open_recording(path, sensor_size)))


@pytest.mark.parametrize("separator", [",", ";", "\t", " ", ", "])
@pytest.mark.parametrize("order", ["txyp", "xypt", "pyxt"])
@pytest.mark.parametrize("block", [3, 50, 1 << 18])
def test_csv_columns_in_any_order(tmp_path, monkeypatch, separator, order, block):
    monkeypatch.setattr(base, "BLOCK_BYTES", block)
    rows = naive.rows_of(naive.make_events(np.random.default_rng(block), 200, (34, 34)))
    (tmp_path / "a.csv").write_bytes(formats.write_csv(rows, order, separator))
    recording = open_recording(tmp_path / "a.csv")
    assert naive.rows_of(Events.concatenate(list(recording))) == rows
    source = recording.source
    assert (source.format, source.sensor_size, source.size_origin) == ("csv", (34, 34), "inferred")


TEXTS = {
    "names, comments, blanks, CRLF": b"# made by me\r\n\r\nTimestamp,X,Y,Polarity\r\n# here\r\n1000000,1,2,1\r\n"
    b"1000500,33,0,0\r\n\r\n1000501,7,33,1\r\n",
    "blanks alone, and before remarks": b"t,x,y,p\n  \n1000000,1,2,1\n\t# a\n1000500,33,0,0\n \r\n1000501,7,33,1\n  ",
    "no end of the last line": b"t,x,y,p\n1000000,1,2,1\n1000500,33,0,0\n1000501,7,33,1",
    "remarks in other letters": "# Größe\nt,x,y,p,Gerät\n1000000,1,2,1,\n1000500,33,0,0,é\n1000501,7,33,1,\n".encode(),
    "the same in Latin 1": b"# Gr\xf6\xdfe\nt,x,y,p\n1000000,1,2,1\n1000500,33,0,0\n1000501,7,33,1\n",
    "more columns": b"id,t,x,y,p,what\n0,1000000,1,2,1,5\n1,1000500,33,0,0,5\n2,1000501,7,33,1,5\n",
    "signs": b"t,x,y,p\n1000000,1,2,1\n1000500,33,0,-1\n1000501,7,33,+1\n",
    "words": b"t,x,y,on\n1000000,1,2,True\n1000500,33,0,false\n1000501,7,33,TRUE\n",
    "milliseconds": b"t_ms x y p\n1000 1 2 1\n1000.5 33 0 0\n1000.501 7 33 1\n",
    "seconds by name": b"x;y;p;time [s]\n1;2;1;1\n33;0;0;1.0005\n7;33;1;1.000501\n",
    "seconds by their point": b"1.000000 1 2 1\n1.000500 33 0 0\n1.000501 7 33 1\n",
    "microseconds with a point": b"t_us,x,y,p\n1000000.0,1,2,1\n1000500.0,33,0,0\n1000501.0,7,33,1\n",
    "no names": b"1000000,1,2,1\n1000500,33,0,0\n1000501,7,33,1\n",
}
SAID = {"seconds by their point": ["taken as t, x, y, p", "taken as seconds"], "no names": ["taken as t, x, y, p"]}


@pytest.mark.parametrize("name", TEXTS)
def test_texts_that_mean_the_same(tmp_path, name):
    (tmp_path / "a.txt").write_bytes(TEXTS[name])
    recording = open_recording(tmp_path / "a.txt", (34, 34))
    assert naive.rows_of(Events.concatenate(list(recording))) == ROWS
    notes = " ".join(recording.notes())
    assert [text for text in ("taken as t, x, y, p", "taken as seconds") if text in notes] == SAID.get(name, [])


@pytest.mark.parametrize("more", ["", ",0.5"])
@pytest.mark.parametrize("block", [40, 1 << 18])
def test_whole_nanoseconds_are_exact_whatever_stands_beside_them(tmp_path, monkeypatch, more, block):
    monkeypatch.setattr(base, "BLOCK_BYTES", block)
    times = [1_600_000_000_000_000_000 + 1000 * i + 499 + i % 2 for i in range(20)]
    head = "t_ns,x,y,p" + (",angle" if more else "")
    lines = [f"{t},{i},1,{'1.0' if more and i > 9 else 1}{more}" for i, t in enumerate(times)]
    (tmp_path / "a.csv").write_text("\n".join([head, *lines]))
    events = Events.concatenate(list(open_recording(tmp_path / "a.csv", (34, 34))))
    assert events.t.tolist() == [(t + 500) // 1000 for t in times]


BAD_TEXTS = {
    "missing": (b"t,x,y,z\n1,2,3,4\n", "its columns 't, x, y, z' have no name for p. Give --columns"),
    "word": (b"t,x,y,p\n1,2,3,1\n1,2,3,1\n1,2,zwei,1\n", "line 4 is no event: '1,2,zwei,1', where y is no number"),
    "short": (b"t,x,y,p\n1,2,3,1\n#\n1,2,3\n", "line 4 has 3 columns, the first line 4: '1,2,3'"),
    "fraction": (b"t,x,y,p\n1,2,3,1\n1,2.5,3,1\n", "line 3 has x = 2.5, which is no whole pixel"),
    "negative": (b"t,x,y,p\n1,2,3,1\n1,-2,3,1\n", "line 3 has x = -2, which is no whole pixel in 0..65535"),
    "huge": (
        b"t,x,y,p\n1,2,3,1\n99999999999999999999999,2,3,1\n",
        "line 3 has t = 1e+23, which is no time below 2^61 µs",
    ),
    "infinite": (b"t_s,x,y,p\n1.0,2,3,1\ninf,2,3,1\n", "line 3 has t = inf, which is no time"),
    "not a number": (b"t_s,x,y,p\n1.0,2,3,1\nnan,2,3,1\n", "line 3 has t = nan, which is no time"),
    "endless": (b"t,x,y,p\n1,2,3,1\n" + b"1" * 400_000, "longer than 4096 bytes"),
    "names only": (b"t,x,y,p\n", "holds no event"),
}


@pytest.mark.parametrize("name", BAD_TEXTS)
def test_lines_that_are_no_events_are_named(tmp_path, name):
    text, expected = BAD_TEXTS[name]
    (tmp_path / "a.csv").write_bytes(text)
    with pytest.raises(FileError) as error:
        read(tmp_path / "a.csv", (34, 34))
    assert expected in str(error.value)
    assert str(tmp_path / "a.csv") in str(error.value)
    assert "\n" not in str(error.value)


def save_structured(path, rows):
    np.save(path, naive.events_of(rows).to_array())


def save_columns(path, rows, **more):
    t, x, y, p = np.array(rows).T
    np.savez(path, timestamps=t, x=x.astype("u2"), y=y.astype("i4"), polarity=p.astype(bool), **more)


SAVERS = {
    "a.npy": save_structured,
    "plain.npy": lambda path, rows: np.save(path, np.array(rows)),
    "names.npy": lambda path, rows: np.save(
        path, np.array([(p, y, x, t) for t, x, y, p in rows], [("on", "?"), ("y", "u1"), ("x", ">i4"), ("ts", "<u8")])
    ),
    "a.npz": save_columns,
    "more.npz": lambda path, rows: save_columns(path, rows, labels=np.zeros(3)),
    "packed.npz": lambda path, rows: np.savez_compressed(path, events=naive.events_of(rows).to_array(), other=1),
}


@pytest.mark.parametrize("name", SAVERS)
@pytest.mark.parametrize("rows_at_once", [1, 7, 1 << 16])
def test_numpy_files(tmp_path, monkeypatch, name, rows_at_once):
    monkeypatch.setattr(numpy_array, "ROWS", rows_at_once)
    rows = naive.rows_of(naive.make_events(np.random.default_rng(0), 100, (34, 34)))
    SAVERS[name](tmp_path / name, rows)
    recording = open_recording(tmp_path / name)
    for _ in range(2):
        assert naive.rows_of(Events.concatenate(list(recording))) == rows
    assert recording.source.format == name[-3:]
    assert any("taken as t, x, y, p" in note for note in recording.notes()) == (name == "plain.npy")


@pytest.mark.parametrize(
    ("more", "size", "offset"),
    [
        ({"sensor_size": (640, 480), "t_offset": 5000}, (640, 480), 5000),
        ({"width": 640, "height": 480}, (640, 480), 0),
        ({"geometry": "346x260", "t_offset": np.array([7.0])}, (346, 260), 7),
        ({"sensor_size": None, "resolution": np.zeros(1000)}, (34, 34), 0),
    ],
)
def test_an_archive_says_the_size_of_its_sensor_and_an_offset_of_its_times(tmp_path, more, size, offset):
    save_columns(tmp_path / "a.npz", ROWS, **more)
    recording = open_recording(tmp_path / "a.npz")
    assert recording.sensor_size == size
    assert naive.rows_of(Events.concatenate(list(recording))) == [(t + offset, *row) for t, *row in ROWS]
    save_columns(tmp_path / "b.npz", ROWS, t_offset="soon")
    with pytest.raises(FileError, match="its t_offset, which is added to all times, is no number"):
        open_recording(tmp_path / "b.npz")


@pytest.mark.parametrize(
    "header", ["((((", "{'descr': '<i8', 'shape': (99999999999999999999,), 'fortran_order': False}"]
)
def test_an_offset_with_a_damaged_header_is_no_number(tmp_path, header):
    save_columns(tmp_path / "a.npz", ROWS)
    text = header.encode().ljust(117) + b"\n"
    with zipfile.ZipFile(tmp_path / "a.npz", "a") as archive:
        archive.writestr("t_offset.npy", b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + bytes(8))
    with pytest.raises(FileError, match="its t_offset, which is added to all times, is no number"):
        open_recording(tmp_path / "a.npz")


BAD_ARRAYS = {
    "objects.npy": (np.array([{}]), "holds Python objects, which are not loaded"),
    "floats.npy": (np.zeros((5, 4)) + 0.5, "no order of t, x, y and p fits them"),
    "line.npy": (np.zeros(5, int), "instead of rows with x, y, t and p"),
    "three.npy": (np.zeros((5, 3), int), "instead of rows with x, y, t and p"),
    "scalar.npy": (np.array(5), "holds an array () of int64"),
    "turned.npy": (np.zeros((4, 5), int), "Save its transpose"),
    "fields.npy": (np.zeros(5, [("t", "i8"), ("x", "i8"), ("y", "i8")]), "columns 't, x, y' have no name for p"),
    "empty.npy": (np.zeros((0, 4), int), "holds no event"),
}


@pytest.mark.parametrize("name", BAD_ARRAYS)
def test_arrays_that_are_no_events(tmp_path, name):
    array, expected = BAD_ARRAYS[name]
    np.save(tmp_path / name, array, allow_pickle=True)
    with pytest.raises((FileError, InputError)) as error:
        read(tmp_path / name, (34, 34))
    assert expected in str(error.value)
    assert "\n" not in str(error.value)


def test_archives_that_are_no_events(tmp_path):
    np.savez(tmp_path / "a.npz", t=np.arange(3), x=np.arange(3))
    with pytest.raises(FileError, match="holds t, x instead of the arrays x, y, t and p"):
        open_recording(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", t=np.arange(3), x=np.arange(3), y=np.arange(3), p=np.arange(2))
    with pytest.raises(FileError, match=r"columns have \[2, 3\] values"):
        open_recording(tmp_path / "b.npz")
    with zipfile.ZipFile(tmp_path / "c.zip", "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(FileError, match="is a zip archive, not a recording"):
        open_recording(tmp_path / "c.zip")


def test_a_header_that_claims_more_than_there_is_takes_no_memory(tmp_path):
    dtype = {"descr": "<i8", "fortran_order": False, "shape": (1 << 50, 4)}
    with (tmp_path / "a.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, dtype)
        file.write(np.array(ROWS, "<i8").tobytes())
    recording = open_recording(tmp_path / "a.npy", (34, 34))
    assert naive.rows_of(Events.concatenate(list(recording))) == ROWS
    assert recording.report.lines() == [f"{(1 << 50) - 3} events at the end are missing: the file is cut"]
