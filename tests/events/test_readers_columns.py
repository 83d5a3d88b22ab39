"""Order and unit of columns: concluded where the values allow one reading, asked for where they allow several."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nirbridge.errors import FileError, InputError
from nirbridge_events import Events, open_recording
from nirbridge_events.readers.columns import find_columns
from tests.events import naive

COUNT = 600
ROWS = [(1000 + 40 * i, 7 * i % 346, 3 * i % 260, i % 2) for i in range(COUNT)]
EPOCH = 1_504_645_177


def lines(make, head=""):
    return (head + "".join(make(*row) + "\n" for row in ROWS)).encode()


def read(tmp_path, text, **how):
    (tmp_path / "a.csv").write_bytes(text)
    recording = open_recording(tmp_path / "a.csv", **how)
    return naive.rows_of(Events.concatenate(list(recording))), recording


# What public tools write: (text, what is added to the times, what is said).
TEXTS = {
    "seconds t x y p": (lines(lambda t, x, y, p: f"{t / 1e6:.9f} {x} {y} {p}"), 0, ["t, x, y, p", "as seconds"]),
    "a line of width and height": (lines(lambda t, x, y, p: f"{t / 1e6:.9f} {x} {y} {p}", "346 260\n"), 0, []),
    "comments and -1": (lines(lambda t, x, y, p: f"{t / 1e6} {x} {y} {2 * p - 1}", "# v2e\n# time x y p\n"), 0, []),
    "x y p t": (lines(lambda t, x, y, p: f"{x},{y},{p},{t}"), 0, ["x, y, p, t", "whole numbers are taken as µs"]),
    "x y t p": (lines(lambda t, x, y, p: f"{x}\t{y}\t{t}\t{p}"), 0, ["x, y, t, p"]),
    "scientific": (lines(lambda *row: " ".join(f"{v:.18e}" for v in (row[0] / 1e6, *row[1:]))), 0, ["as seconds"]),
    "a first whole second": (
        lines(lambda t, x, y, p: f"{(t - 1000) / 1e6:g} {x} {y} {p}").replace(b"0 0 0 0", b"0 0 0 0", 1), -1000, [],
    ),
    "nanoseconds named": (lines(lambda t, x, y, p: f"{t}000,{x},{y},{p}", "t_ns,x,y,p\n"), 0, []),
    "nanoseconds of the epoch": (
        lines(lambda t, x, y, p: f"{EPOCH}{t:06d}000,{x},{y},{p}", "t,x,y,p\n"), EPOCH * 10**6, ["are taken as ns"],
    ),
    "microseconds of the epoch": (
        lines(lambda t, x, y, p: f"{EPOCH}{t:06d}, {x}, {y}, {p}", "timestamp, x, y, polarity\n"), EPOCH * 10**6, [],
    ),
    "names in a comment": (lines(lambda t, x, y, p: f"{y} {x} {t} {p}", "# made by me\n# y x t[us] p\n"), 0, []),
    "a unit in brackets": (lines(lambda *row: ";".join(map(str, row)), "timestamp [us];x;y;polarity\n"), 0, []),
    "the index of pandas": (lines(lambda t, x, y, p: f"7,{t},{x},{y},{p}", ",t,x,y,p\n"), 0, []),
    "words": (lines(lambda t, x, y, p: f"{t},{x},{y},{bool(p)}", "timeStamp,addr_x,addr_y,pol\n"), 0, []),
    "a mark, quotes": (lines(lambda t, *more: f'"{t}",' + ",".join(map(str, more)), '\ufeff"t",x,y,"p"\n'), 0, []),
    "milliseconds": (lines(lambda t, x, y, p: f"{x},{y},{t / 1000},{p}", "x,y,time (ms),p\n"), 0, []),
}  # fmt: skip


@pytest.mark.parametrize("name", TEXTS)
def test_what_public_tools_write_is_read(tmp_path, name):
    text, more, said = TEXTS[name]
    rows, recording = read(tmp_path, text)
    assert rows == [(t + more, x, y, p) for t, x, y, p in ROWS]
    assert recording.sensor_size == (346, 260)
    assert all(part in " ".join(recording.notes()) for part in said)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        (b"640 480\n0.0000015 1 2 1\n0.25 3 4 0\n", (640, 480)),
        (b"t,x@640,y@480,on\n1,1,2,1\n1250000,3,4,0\n", (640, 480)),
        (b"%geometry:640,480\n1,2,1,1000000\n3,4,0,1250000\n", (640, 480)),
    ],
)
def test_a_size_that_the_text_states_is_used(tmp_path, text, size):
    _, recording = read(tmp_path, text)
    source = recording.source
    assert (source.sensor_size, source.size_origin) == (size, "file")


ASKED = {
    "x, y and t rise": ("".join(f"{7 * i},{3 * i},{i % 2},{1000 + 40 * i}\n" for i in range(30)), "may be "),
    "nothing rises": ("5 5 5 1\n5 5 5 1\n", "may be t, x, y, p or "),
    "a time that stands still": (
        "".join(f"400 {i} {99 - i} 1\n" for i in range(90)),
        "may be t, x, y, p or x, t, y, p",
    ),
    "pixels with decimals": (
        "".join(f"{100 + 9 * i} {(7 * i) % 30 + 0.7123} {i % 9} 1\n" for i in range(30)),
        "no order of t, x, y and p",
    ),
    "all fall": ("9 9 9 1\n8 8 8 1\n", "no order of t, x, y and p fits"),
    "y before x": ("".join(f"{10**6 + i},{i % 260},{i % 346},1\n" for i in range(COUNT)), "t, y, x, p of 346x260"),
    "five columns": ("1,2,90,1,1000\n", "has 5 columns without names"),
    "quarters": ("0 10 10 1\n0.25 11 10 0\n0.5 12 10 1\n1.75 13 10 0\n", "may be seconds or milliseconds"),
    "milliseconds": ("x,y,p,t\n" + "".join(f"5,6,1,{i / 1000}\n" for i in range(9)), "may be seconds or milliseconds"),
    "gaps of 40": ("t,x,y,p\n" + "".join(f"{40.00001 * i},5,6,1\n" for i in range(9)), "may be seconds or"),
    "ms of the epoch": (f"t,x,y,p\n{EPOCH}000,5,6,1\n", "may be µs, or ms since 1970"),
}


@pytest.mark.parametrize("name", ASKED)
def test_two_readings_are_an_error_that_names_the_options(tmp_path, name):
    text, expected = ASKED[name]
    with pytest.raises(InputError) as error:
        read(tmp_path, text.encode())
    assert expected in str(error.value)
    assert "--columns" in str(error.value) or "--time-unit s, ms, us or ns" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "how", "rows"),
    [
        (b"0 10 9 1\n0.25 11 9 0\n", {"time_unit": "s"}, [(0, 10, 9, 1), (250_000, 11, 9, 0)]),
        (b"0 10 9 1\n0.25 11 9 0\n", {"time_unit": "ms"}, [(0, 10, 9, 1), (250, 11, 9, 0)]),
        (b"1,2,90,-1,1000\n2,2,91,1,1040\n", {"columns": "y,x,_,p,t"}, [(1000, 2, 1, 0), (1040, 2, 2, 1)]),
        (b"t,x,y,p\n1,2,0,3000\n", {"columns": "x,y,p,t", "time_unit": "ns"}, [(3, 1, 2, 0)]),
        (b"t_ms,x,y,p\n3,1,2,1\n", {"time_unit": "us"}, [(3, 1, 2, 1)]),
        (b"5 5 5 1\n5 6 5 1\n", {"columns": ["t", "x", "y", "p"]}, [(5, 5, 5, 1), (5, 6, 5, 1)]),
    ],
)
def test_options_say_more_than_names_and_values(tmp_path, text, how, rows):
    assert read(tmp_path, text, **how)[0] == rows


@pytest.mark.parametrize(
    ("text", "times", "rounded"),
    [
        (b"t_us,x,y,p\n0.4,5,6,1\n200.9,5,6,1\n", [0, 201], True),
        (b"t_ns,x,y,p\n1499,5,6,1\n1500,5,6,1\n", [1, 2], True),
        (b"t_s,x,y,p\n1504645177.42,5,6,1\n1504645177.420001,5,6,1\n", [1504645177420000, 1504645177420001], False),
    ],
)
def test_times_that_are_rounded_are_said(tmp_path, text, times, rounded):
    rows, recording = read(tmp_path, text)
    assert [row[0] for row in rows] == times
    assert any("rounded to whole µs" in note for note in recording.notes()) == rounded


def test_a_damaged_time_does_not_say_the_unit_of_all(tmp_path):
    """As µs it is of the year 2127, so that all were taken as ns."""
    text = lines(lambda *row: ",".join(map(str, row)), "t,x,y,p\n4951500000000000,1,1,1\n")
    rows, recording = read(tmp_path, text, bad_events="skip")
    assert (rows, recording.report.ahead_events) == (ROWS, 1)
    rows, _ = read(tmp_path, b"t,x,y,p\n0.000001,1,1,1\nnan,1,1,1\n0.000003,1,1,1\n", bad_events="skip")
    assert rows == [(1, 1, 1, 1), (3, 1, 1, 1)]


def test_halves_of_a_microsecond_are_rounded_alike_whatever_the_numbers_are(tmp_path):
    t = np.array([-1500, -500, 500, 1500, 2500, 3499])
    kinds = ((t, "t_ns"), (t.astype(float), "t_ns"), (t / 1000, "t_us"))
    for number, (times, name) in enumerate(kinds):
        np.savez(tmp_path / f"{number}.npz", **{name: times, "x": t % 7, "y": t % 7, "p": t % 2})
        events = Events.concatenate(list(open_recording(tmp_path / f"{number}.npz")))
        assert events.t.tolist() == [-1, 0, 1, 2, 3, 3]


BAD = {
    "columns twice": (b"t,x,y,p\n1,2,3,1\n", {"columns": "t,x,x,p"}, "does not name t, x, y and p once each"),
    "columns of another number": (b"1,2,3,1,1\n", {"columns": "t,x,y,p"}, "has 5 columns, --columns names 4"),
    "an unknown unit": (b"t,x,y,p\n1,2,3,1\n", {"time_unit": "h"}, "is no unit of time"),
    "no camera": (b"t,x,y,p\n1,2,3,1\n", {"camera": 0}, "to which --camera does not apply"),
    "impossible by option": (b"1 2 3 1\n", {"columns": "t,x,p,y", "time_unit": "s"}, "line 1 has p = 3"),
    "polarity of 2": (b"# c\n\nt,x,y,p\n1,2,3,1\n1,2,3,2\n", {}, "line 5 has p = 2, which is neither 0 nor 1"),
    "polarities of 1 and 2": (b"t,x,y,p\n1,2,3,1\n1,2,3,2\n", {}, "subtract 1 from 1 and 2"),
    "polarity of 255": (b"t,x,y,p\n1,2,3,1\n1,2,3,255\n", {}, "If 255 stands for -1, save polarities as int8"),
    "three polarities": (b"t,x,y,p\n1,2,3,1\n1,2,3,-1\n2,2,3,0\n", {}, "-1, 0 and 1 are mixed"),
    "decimals after whole times": (
        b"t,x,y,p\n" + b"1,2,3,1\n" * 20_000 + b"1.5,2,3,1\n", {}, "the times before were whole and taken as us",
    ),
    "a pixel of 33.7": (b"t,x,y,p\n100,33.7,40,1\n", {}, "line 2 has x = 33.7, which is no whole pixel"),
    "a pixel of nan": (b"t,x,y,p\n100,nan,40,1\n", {}, "line 2 has x = nan"),
    "beyond int64": (b"t,x,y,p\n9999999999999999999,1,4,1\n", {}, "line 2 has t = 1e+19"),
    "a decimal comma": (b"t,x,y,p\n0,25,1,2,1\n", {}, "line 2 has 5 columns, the first line 4"),
    "a decimal comma beside semicolons": (b"0,25;1;2;1\n0,5;1;2;1\n", {}, "decimals need a point, no comma"),
    "digits of another script": ("t,x,y,p\n١,2,3,1\n".encode(), {}, "line 2 is no event: '١,2,3,1'"),
    "carriage returns": (b"t,x,y,p\r1,2,3,1\r", {}, "ends its lines with carriage returns alone"),
    "many columns": (b"1" + b",1" * 30_000 + b"\n", {}, "has 30001 columns, at most 256 are read"),
    "UTF-16": ("t,x,y,p\n1,2,3,1\n".encode("utf-16"), {}, "is UTF-16 text. Save it as UTF-8"),
    "comments alone": (b"# t x y p\n", {}, "holds no event"),
    "two columns": (b"1 2\n3 4\n", {}, "has no four columns in its line"),
    "a time twice": (b"t,timestamp,x,y,p\n1,1,2,3,1\n", {}, "several names for t"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_impossible_values_and_options_are_refused(tmp_path, name):
    text, how, expected = BAD[name]
    with pytest.raises((InputError, FileError)) as error:
        read(tmp_path, text, **how)
    assert expected in str(error.value)
    assert "\n" not in str(error.value)


T, X, Y, P = np.array(ROWS).T
ARRAYS = {
    "x y t p, floats": (np.stack([X, Y, T, P], 1).astype("f8"), {}),
    "t in seconds": (np.stack([T / 1e6, X, Y, P], 1), {}),
    "column after column": (np.asfortranarray(np.stack([X, Y, P, T], 1)), {}),
    "-1 and 1": (np.stack([T, X, Y, 2 * P - 1], 1), {}),
    "fields without names": (np.rec.fromarrays([X, Y, T, P]), {"columns": "x,y,t,p"}),
    "seconds in a field": (np.rec.fromarrays([X, Y, T / 1e6, P], names="x,y,t,p"), {}),
    "milliseconds by option": (np.rec.fromarrays([X, Y, T / 1e3, P], names="x,y,t,p"), {"time_unit": "ms"}),
}


@pytest.mark.parametrize("name", ARRAYS)
@pytest.mark.parametrize("packed", [False, True])
def test_arrays_in_other_orders_and_units(tmp_path, name, packed):
    array, how = ARRAYS[name]
    path = tmp_path / ("a.npz" if packed else "a.npy")
    if packed:
        np.savez_compressed(path, events=array, labels=np.array([{}]))
    else:
        np.save(path, array)
    assert naive.rows_of(Events.concatenate(list(open_recording(path, **how)))) == ROWS


@pytest.mark.parametrize(
    "arrays",
    [
        {"events_xy": np.stack([X, Y], 1), "events_t": T / 1e6, "events_p": P},
        {"t_ns": T * 1000, "x": X, "y": Y, "p": P},
        {"ev": np.rec.fromarrays([X, Y, T, P, P], names="x,y,t,p,label"), "ev_loc": np.zeros((9, 3))},
        {"x": X.astype("i2"), "y": Y.astype("u2"), "timestamp": T.astype("f4") / 1e6, "polarity": P.astype(bool)},
    ],
)
def test_archives_of_public_data_sets(tmp_path, arrays):
    np.savez(tmp_path / "a.npz", **arrays)
    rows = naive.rows_of(Events.concatenate(list(open_recording(tmp_path / "a.npz"))))
    assert rows == ROWS


@pytest.mark.parametrize(
    ("array", "found"),
    [
        (np.zeros((5, 4), complex), "column 1 holds complex128, not one number a row"),
        (np.rec.fromarrays([T.astype("M8[us]"), X, Y, P], names="t,x,y,p"), "'t' holds datetime64"),
        (np.zeros(5, [("t", "f8", (2,)), ("x", "i4"), ("y", "i4"), ("p", "i4")]), r"'t' holds float64 of shape \(2,\)"),
        (np.zeros((4, 5)), "holds an array .* Save its transpose"),
    ],
)
def test_arrays_of_something_else(tmp_path, array, found):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(FileError, match=found):
        open_recording(tmp_path / "a.npy")


def test_arrays_that_are_refused(tmp_path):
    signs = (2 * P - 1).astype("i1").view("u1")
    np.save(tmp_path / "a.npy", np.rec.fromarrays([T, X, Y, signs], names="t,x,y,p"))
    with pytest.raises(FileError, match="event 0 has p = 255"):
        list(open_recording(tmp_path / "a.npy"))
    np.savez(tmp_path / "b.npz", t=T, x=X, y=Y, p=P)
    with pytest.raises(InputError, match="keeps each column under its name, so that --columns does not apply"):
        open_recording(tmp_path / "b.npz", columns="x,y,t,p")


@pytest.mark.parametrize(
    ("names", "places"),
    [
        (["x [px]", "y [px]", "polarity (0=off, 1=on)", "t[us]"], "xypt"),
        (["timestampNs", "xs", "ys", "ps"], "txyp"),
        (["start time", "label", "x", "y"], "..xy"),
        (["row", "column", "pol", "time_stamp"], "yxpt"),
    ],
)
def test_names_of_columns(names, places):
    assert find_columns(names) == {name: [i] for i, name in enumerate(places) if name != "."}


@st.composite
def tables(draw):
    """Rows (t, x, y, p) and an order of their columns in which x comes before y."""
    steps = draw(st.lists(st.integers(0, draw(st.sampled_from([1, 60, 5000]))), min_size=1, max_size=12))
    start, wide = draw(st.sampled_from([0, 4000, 10**6])), draw(st.sampled_from([2, 34, 1280]))
    times = [start + sum(steps[: i + 1]) for i in range(len(steps))]
    rows = [(t, draw(st.integers(0, wide - 1)), draw(st.integers(0, wide - 1)), draw(st.integers(0, 1))) for t in times]
    order = draw(st.permutations("txyp").map("".join).filter(lambda text: text.index("x") < text.index("y")))
    return rows, order


@settings(deadline=None, derandomize=True, max_examples=80)
@given(tables())
def test_columns_without_names_are_read_right_or_asked_for(table):
    rows, order = table
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.npy"
        np.save(path, np.array([[row["txyp".index(name)] for name in order] for row in rows]))
        try:
            found = naive.rows_of(Events.concatenate(list(open_recording(path))))
        except InputError as error:
            assert "--columns" in str(error)
            found = naive.rows_of(Events.concatenate(list(open_recording(path, columns=",".join(order)))))
    assert found == rows
