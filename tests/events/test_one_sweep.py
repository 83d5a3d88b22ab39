"""One sweep of machine code over an array gives the frames, and the errors, of the encoder that goes piece by piece."""

import numpy as np
import pytest

from nirbridge.errors import InputError
from nirbridge_events import FrameEncoder, as_events, counting, encode, one_sweep
from tests.events import naive

SENSORS = ((7, 5), (1, 1), (34, 34), (346, 260), (40_000, 2))
DTYPES = (
    [("t", "<i8"), ("x", "<u2"), ("y", "<u2"), ("p", "u1")],
    [("x", "<i2"), ("y", "<i2"), ("t", "<i8"), ("p", "?")],
    np.dtype([("p", "i1"), ("y", "<u2"), ("t", "<i8"), ("x", "<i2")], align=True),
    [("x", "<u2"), ("y", ">u2"), ("t", "<i8"), ("p", "u1")],
    [("x", "<i4"), ("y", "<i4"), ("t", "<u4"), ("p", "<i2")],
)
IN_PLACE = DTYPES[:3]
OPTIONS = (
    {},
    {"polarity": "merge"},
    {"start": "zero"},
    {"start": 10, "max_gap": 6},
    {"start": 200},
    {"size": (1, 1)},
    {"end": 900},
    {"per_events": 50, "window": None},
    {"polarity": "signed"},
    {"outside": "count"},
    {"gap": "count", "max_gap": 2},
)
SPOILED = {
    "no": lambda array: None,
    "time back": lambda array: array["t"].__setitem__(len(array) // 2, 0),
    "last time back": lambda array: array["t"].__setitem__(-1, 0),
    "x": lambda array: array["x"].__setitem__(-1, 50_000 if array.dtype["x"].kind == "u" else -1),
    "y": lambda array: array["y"].__setitem__(len(array) // 3, 300),
    "p": lambda array: array.dtype["p"].kind != "b" and array["p"].__setitem__(-2, 2),
    "gap": lambda array: array["t"].__setitem__(slice(-3, None), 1 << 30),
}


@pytest.fixture(scope="module", autouse=True)
def kernels():
    """The functions, compiled whatever was encoded before."""
    pytest.importorskip("numba")
    before = list(counting._loaded)
    counting.load_for(counting.WORTH_LOADING)
    yield counting.kernels()
    counting._loaded[:] = before


def outcome(monkeypatch, with_numba, array, **how):
    """The frames or the error."""
    with monkeypatch.context() as patch:
        patch.setattr(counting, "WORTH_LOADING", 1 << 60)
        if not with_numba:
            patch.setattr(counting, "kernels", lambda: None)
        try:
            return encode(array, **how)
        except InputError as error:
            return str(error)


def random_array(rng, dtype, sensor):
    """Events of few pixels, some of them far more than 255 times in a window, with pauses."""
    count = int(rng.integers(3, 1500))
    events = naive.make_events(rng, count, (min(sensor[0], 3), min(sensor[1], 3)), span=int(rng.integers(1, 2000)))
    array = np.zeros(count, dtype=dtype)
    for name in "xytp":
        array[name] = getattr(events, name)
    array["t"] = events.t + 400 * (np.arange(count) > count // 2) + 20
    return array


def same(one, other):
    return one == other if isinstance(one, str) else np.array_equal(one, other) and one.dtype == other.dtype


@pytest.mark.parametrize("seed", range(100))
@pytest.mark.parametrize("coding", ["count", "binary"])
@pytest.mark.parametrize("spoiled", [False, True])
def test_random_arrays_give_the_same_with_and_without(seed, coding, spoiled, monkeypatch):
    rng = np.random.default_rng(seed)
    sensor, dtype = SENSORS[seed % len(SENSORS)], DTYPES[seed // 2 % len(DTYPES)]
    options = OPTIONS[seed % 8]
    array = random_array(rng, dtype, sensor)
    SPOILED[list(SPOILED)[seed // 7 % len(SPOILED)] if spoiled else "no"](array)
    window = int(rng.choice([100, 5000] if max(sensor) > 100 else [1, 7, 100, 5000]))
    how = {"sensor_size": sensor, "window": window, "coding": coding} | options
    wanted, found = (outcome(monkeypatch, with_numba, array, **how) for with_numba in (False, True))
    assert same(wanted, found)


@pytest.mark.parametrize("dtype", IN_PLACE, ids=str)
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_plain_cases_are_swept_and_no_others(dtype, options):
    array = random_array(np.random.default_rng(1), dtype, (7, 5))
    how = {"sensor_size": (7, 5), "window": 100, "coding": "count"} | options
    late = options.get("start") == 200
    plain = (
        not late and not set(options) & {"end", "per_events", "outside", "gap"} and options.get("polarity") != "signed"
    )
    assert (FrameEncoder(**how).sweep(array) is not None) == plain
    assert (FrameEncoder(**how).sweep(as_events(array)) is not None) == plain


@pytest.mark.parametrize(
    "how", [{"subframes": 2}, {"crop": (0, 0, 2, 2)}, {"size": (2, 2), "downsample": "max"}], ids=str
)
def test_frames_that_are_no_sums_are_not_swept(how):
    array = random_array(np.random.default_rng(1), DTYPES[0], (7, 5))
    assert FrameEncoder((7, 5), 100, "count", **how).sweep(array) is None
    assert FrameEncoder((7, 5), 100, "count", size=(2, 2), downsample="sum").sweep(array) is not None


def test_a_negative_place_is_on_no_sensor_however_large(monkeypatch):
    array = np.zeros(3, dtype=[("x", "<i2"), ("y", "<i2"), ("t", "<i8"), ("p", "?")])
    array["x"] = [0, -1, 0]
    for sensor in ((65_536, 2), (2, 2)):
        found = outcome(monkeypatch, True, array, sensor_size=sensor, window=10, coding="count")
        assert "event 1: (-1, 0) is outside" in found


@pytest.mark.parametrize("count", [255, 256, 257, 511, 512, 70_000])
def test_bytes_that_turn_over_are_counted_on(count):
    array = np.zeros(2 * count + 1, dtype=DTYPES[0])
    array["t"][count:] = 10
    array["x"][-1] = 1
    assert FrameEncoder((2, 1), 10, "count").sweep(array).ravel().tolist() == [count, 0, 0, 0, count, 1, 0, 0]
    assert FrameEncoder((2, 1), 10, "binary").sweep(array).ravel().tolist() == [1, 0, 0, 0, 1, 1, 0, 0]


def test_the_largest_count_stays(monkeypatch):
    monkeypatch.setattr(one_sweep, "LARGEST_COUNT", 600)
    assert FrameEncoder((1, 1), 10, "count").sweep(np.zeros(1000, dtype=DTYPES[0])).ravel().tolist() == [600, 0]


@pytest.mark.parametrize("time", [(1 << 62) - 10, (1 << 62) + 5, -(1 << 62) - 5, 0])
def test_times_at_the_ends_of_their_range(time, monkeypatch):
    array = np.zeros(4, dtype=DTYPES[0])
    array["t"] = np.arange(4) * 3 + time
    how = {"sensor_size": (2, 2), "window": 5, "coding": "count"}
    assert same(*(outcome(monkeypatch, with_numba, array, **how) for with_numba in (False, True)))


def test_windows_that_end_after_the_last_time_of_all_are_not_swept():
    array = np.zeros(4, dtype=DTYPES[0])
    array["t"] = (1 << 63) - 1
    assert FrameEncoder((2, 2), 5, "count").sweep(array) is None


@pytest.mark.parametrize("start", ["first", "zero"])
def test_a_gap_may_be_as_long_as_it_may_be(start):
    array = np.zeros(2, dtype=DTYPES[0])
    array["t"] = [0, 45] if start == "first" else [45, 46]
    empty = 3 if start == "first" else 4
    assert len(FrameEncoder((7, 5), 10, "count", start=start, max_gap=empty).sweep(array)) == 5
    assert FrameEncoder((7, 5), 10, "count", start=start, max_gap=empty - 1).sweep(array) is None


def test_what_needs_too_much_memory_at_once_is_left_to_the_encoder(monkeypatch):
    array = random_array(np.random.default_rng(2), DTYPES[0], (7, 5))
    assert FrameEncoder((7, 5), 50, "count", start="zero").sweep(array) is not None
    monkeypatch.setattr(one_sweep, "MOST_RESERVED", 70)
    assert FrameEncoder((7, 5), 50, "count", start="zero").sweep(array) is None


@pytest.mark.parametrize("bad", [(0, 0, 4, 2), (7, 0, 4, 0), (0, 5, 4, 0), (0, 0, 2, 0), (65_535, 65_535, 4, 255)])
def test_machine_code_counts_nothing_that_is_bad(bad, kernels):
    counts, beyond = np.zeros(70, dtype=np.uint8), np.zeros(70, dtype=np.float32)
    x, y, t, p = (
        np.array([good, value], dtype=dtype)
        for good, value, dtype in zip((0, 0, 3, 0), bad, ("u2", "u2", "i8", "u1"), strict=True)
    )
    places = FrameEncoder((7, 5)).settings.pixel_map.places
    assert kernels.count_until(counts, beyond, 256, places, (x, y, t, p), 0, 100) == (-1, 0)
    assert not counts.any()
    assert not beyond.any()
