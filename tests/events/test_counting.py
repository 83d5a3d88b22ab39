"""One array in pieces, with and without numba: the same frames, and the same errors, as event by event."""

import subprocess
import sys

import numpy as np
import pytest

from nirbridge.errors import InputError
from nirbridge_events import Events, FrameEncoder, encode, encoding
from nirbridge_events import counting as counting_module
from nirbridge_events.pixels import LARGEST_COUNT, PixelMap, SumSlice
from tests.events import naive
from tests.events.test_encoding import CASES, SENSOR, expected

FIELDS = [
    [("t", "<i8"), ("x", "<u2"), ("y", "<u2"), ("p", "u1")],
    [("x", "<i2"), ("y", "<i2"), ("t", "<i8"), ("p", "<i2")],
    [("t", "<u4"), ("x", "<i4"), ("y", ">u2"), ("p", "?")],
    [("p", "i1"), ("t", "<i4"), ("y", "<i8"), ("x", "u1")],
]


@pytest.fixture(params=["numpy", "numba"])
def counting(request, monkeypatch):
    """Which of the two counts, and that arrays are cut into small pieces."""
    monkeypatch.setattr(encoding, "PIECE", 64)
    monkeypatch.setattr(counting_module, "_loaded", [])
    monkeypatch.setattr(counting_module, "WORTH_LOADING", 0 if request.param == "numba" else 1 << 60)
    if request.param == "numba":
        pytest.importorskip("numba")
        counting_module.load_for(1)
        assert counting_module.kernels()
    return request.param


def as_array(events, dtype=FIELDS[0], minus=False):
    array = np.zeros(len(events), dtype=dtype)
    for name in "xytp":
        array[name] = getattr(events, name)
    if minus:
        array["p"] = 2 * array["p"] - 1
    return array


@pytest.mark.parametrize("options", CASES, ids=str)
def test_an_array_in_pieces_gives_the_frames_of_the_equations(options, counting):
    events = naive.make_events(np.random.default_rng(3), 900, SENSOR, span=1000, start=77)
    frames = encode(as_array(events), SENSOR, 97, **options)
    atol = 1e-6 if options["coding"] == "voxel" else 0
    np.testing.assert_allclose(frames, expected(events, 97, **options), rtol=0, atol=atol)
    whole = FrameEncoder(SENSOR, 97, **options)
    np.testing.assert_array_equal(frames, np.concatenate([whole.push(events), whole.finish()]))


@pytest.mark.parametrize("dtype", FIELDS, ids=str)
@pytest.mark.parametrize("options", [{}, {"start": "zero"}, {"end": 700}, {"window": None, "per_events": 70}], ids=str)
def test_fields_of_any_integer_type_in_any_range(dtype, options, counting):
    events = naive.make_events(np.random.default_rng(4), 500, SENSOR, span=1000, start=310)
    how = {"sensor_size": SENSOR, "window": 41, "coding": "count", **options}
    wanted = encode([events], **how)
    np.testing.assert_array_equal(encode(as_array(events, dtype), **how), wanted)
    if np.dtype(dtype)["p"].kind == "i":
        np.testing.assert_array_equal(encode(as_array(events, dtype, minus=True), **how), wanted)


def spoil(array, name, values):
    for at, value in values.items():
        array[name][at] = value
    return array


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("t", {300: 0}),
        ("t", {64: 0}),
        ("x", {200: 7}),
        ("x", {200: -1}),
        ("x", {70: 70_000, 71: -70_000}),
        ("p", {250: 2}),
        ("p", {250: -1}),
        ("t", {5: 0, 499: 1 << 60}),
        ("t", {499: 1 << 60}),
    ],
    ids=str,
)
@pytest.mark.parametrize("with_bad_polarity", [False, True])
def test_what_is_wrong_is_said_of_the_whole_array(name, values, with_bad_polarity, counting):
    events = naive.make_events(np.random.default_rng(5), 500, SENSOR, span=1000, start=10)
    array = spoil(as_array(events, [("t", "i8"), ("x", "i8"), ("y", "i8"), ("p", "i2")]), name, values)
    if with_bad_polarity:
        array["p"][450] = 3
    with pytest.raises(InputError) as whole:
        encode([array], SENSOR, 50, "count")
    with pytest.raises(InputError) as pieces:
        encode(array, SENSOR, 50, "count")
    assert str(pieces.value) == str(whole.value)


def test_what_is_no_array_of_events_is_refused_as_before():
    for wrong in (np.zeros(5), np.zeros((2, 2), dtype=FIELDS[0]), np.zeros((), dtype=FIELDS[0])):
        with pytest.raises(InputError):
            encode(wrong, SENSOR)
    assert encode(np.zeros(0, dtype=FIELDS[0]), SENSOR).shape == (0, 2, 5, 7)


@pytest.mark.parametrize("outside", [{"x": 7, "p": 0}, {"x": 0, "p": 2}], ids=str)
def test_machine_code_writes_nowhere_else(outside, counting):
    column = np.zeros(1, dtype=np.uint16)
    events = Events(column + np.uint16(outside["x"]), column + np.uint16(4), np.zeros(1, int), np.uint8([outside["p"]]))
    if outside["p"] or counting == "numba":
        with pytest.raises(IndexError):
            SumSlice(PixelMap(SENSOR, SENSOR, 2)).add(events)


def test_a_busy_pixel_is_counted_on_and_stays_at_the_largest_count(counting, monkeypatch):
    count = 200_000
    events = Events(*(np.zeros(count, dtype=dtype) for dtype in ("u2", "u2", "i8", "u1")))
    monkeypatch.setattr(encoding, "PIECE", 1 << 17)
    assert encode(events, SENSOR, 10, "count").ravel()[:2].tolist() == [count, 0]
    summed = SumSlice(PixelMap(SENSOR, SENSOR, 1))
    summed.add(events)
    summed._values[0] = LARGEST_COUNT - 5
    summed.add(events)
    assert summed.take().ravel()[:2].tolist() == [LARGEST_COUNT, 0]
    assert summed.take().sum() == 0


def test_more_windows_than_expected_make_room(counting):
    array = as_array(naive.events_of([(5_000, 1, 1, 1), (5_001, 1, 1, 1)]))
    frames = encode(array, SENSOR, 10, "count", start="zero")
    assert frames.shape == (501, 2, 5, 7)
    assert np.argwhere(frames).tolist() == [[500, 1, 1, 1]]
    assert frames.sum() == 2


def test_numba_is_loaded_for_large_inputs_only():
    code = (
        "import sys, numpy as np; from nirbridge_events import EVENT_DTYPE, encode, counting\n"
        "for count in (1000, counting.WORTH_LOADING):\n"
        "    encode(np.zeros(count, EVENT_DTYPE)); print('numba' in sys.modules, counting.kernels() is not None)"
    )
    pytest.importorskip("numba")
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.split() == ["False", "False", "True", "True"]
    blocked = "import sys; sys.modules['numba'] = None\n" + code
    out = subprocess.run([sys.executable, "-c", blocked], capture_output=True, text=True, check=True).stdout
    assert out.split() == ["True", "False", "True", "False"]
