"""Frames decoded to events: what is kept, what is lost, and what is refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nirbridge.errors import InputError
from nirbridge_events import decode, encode
from tests.events import naive

SENSOR = (7, 5)
EXACT = [
    {"coding": "binary"},
    {"coding": "binary", "polarity": "signed"},
    {"coding": "count"},
    {"coding": "count", "polarity": "merge"},
    {"coding": "count", "polarity": "signed", "crop": (2, 1, 4, 3)},
    {"coding": "one-hot", "lanes": 3},
    {"coding": "one-hot", "lanes": 4, "polarity": "merge"},
    {"coding": "phase", "phases": 4},
]


@settings(derandomize=True, deadline=None, max_examples=150)
@given(st.integers(0, 2**32), st.sampled_from(EXACT), st.integers(64, 300), st.integers(-1000, 1000))
def test_encoding_the_decoded_events_gives_the_frames_again(seed, options, window, start):
    rng = np.random.default_rng(seed)
    events = naive.make_events(rng, int(rng.integers(1, 200)), SENSOR, span=900, start=start)
    frames = encode(events, SENSOR, window, start=start, **options)
    decoded = decode(frames, SENSOR, window, start=start, **options)
    again = encode(decoded, SENSOR, window, start=start, **options)
    np.testing.assert_array_equal(again, frames[: len(again)])
    assert not frames[len(again) :].any()


def test_counts_keep_every_event_and_its_window_and_pixel():
    events = naive.make_events(np.random.default_rng(0), 400, SENSOR, span=1000)
    decoded = decode(encode(events, SENSOR, 100, "count", start=0), SENSOR, 100, "count")
    wanted = sorted((t // 100, x, y, p) for t, x, y, p in naive.rows_of(events))
    assert sorted((t // 100, x, y, p) for t, x, y, p in naive.rows_of(decoded)) == wanted


def test_events_are_spread_evenly_and_sorted():
    frames = np.zeros((2, 2, 5, 7), dtype=np.float32)
    frames[1, 1, 2, 3], frames[0, 0, 4, 6] = 4, 1
    rows = naive.rows_of(decode(frames, SENSOR, 100, "count", start=50))
    assert rows == [(100, 6, 4, 0), (162, 3, 2, 1), (187, 3, 2, 1), (212, 3, 2, 1), (237, 3, 2, 1)]


def test_downsampled_pixels_come_back_in_the_middle_of_their_block():
    frames = np.ones((1, 1, 2, 2), dtype=np.float32)
    rows = naive.rows_of(decode(frames, (8, 6), 10, crop=(2, 0, 6, 6), size=(2, 2), polarity="merge"))
    assert rows == [(5, 3, 1, 1), (5, 6, 1, 1), (5, 3, 4, 1), (5, 6, 4, 1)]


@pytest.mark.parametrize("polarity", ["keep", "signed"])
def test_voxels_keep_the_number_of_events_of_a_pixel_and_place_them_within_a_bin(polarity):
    rng = np.random.default_rng(0)
    p = int(rng.integers(0, 2))
    rows = [
        (int(t), int(x), 2, p if x < 3 else 1 - p)
        for t, x in zip(np.sort(rng.integers(0, 1000, 60)), rng.integers(0, 7, 60), strict=True)
    ]
    events = naive.events_of(rows)
    frames = encode(events, SENSOR, 500, "voxel", bins=6, start=0, polarity=polarity)
    decoded = naive.rows_of(decode(frames, SENSOR, 500, "voxel", bins=6, polarity=polarity))
    key = lambda row: (row[1:], row[0])  # noqa: E731
    assert len(decoded) == len(rows)
    for (t, *place), (decoded_t, *decoded_place) in zip(sorted(rows, key=key), sorted(decoded, key=key), strict=True):
        assert place == decoded_place
        assert abs(t - decoded_t) <= 200


@pytest.mark.parametrize(
    ("frames", "options", "found"),
    [
        (np.zeros((1, 2, 5, 6)), {}, r"shape \(1, 2, 5, 6\) is not \[T·1, 2, 5, 7\]"),
        (np.zeros((3, 2, 5, 7)), {"coding": "phase", "phases": 2}, r"is not \[T·2, 2, 5, 7\]"),
        (np.full((1, 2, 5, 7), 0.5), {"coding": "count"}, "'count' does not give, as 0.5"),
        (np.full((1, 2, 5, 7), -1.0), {}, "'binary' does not give, as -1.0"),
        (np.full((1, 2, 5, 7), 3.0), {}, "'binary' does not give, as 3.0"),
        (np.full((1, 1, 5, 7), -2.0), {"polarity": "signed"}, "'binary' does not give, as -2.0"),
        (np.full((1, 2, 5, 7), 3.0), {"coding": "one-hot"}, "'one-hot' does not give, as 3.0"),
        (np.full((1, 2, 5, 7), 8.0), {"coding": "one-hot", "lanes": 3}, "'one-hot' does not give, as 8.0"),
        (np.full((2, 2, 5, 7), 2.0), {"coding": "phase", "phases": 2}, "'phase' does not give, as 2.0"),
        (np.full((2, 2, 5, 7), -0.5), {"coding": "voxel", "bins": 2}, "'voxel' does not give, as -0.5"),
        (np.zeros((1, 2, 5, 7)), {"per_events": 10}, "per_events: makes windows whose frames do not say their times"),
        (np.full((1, 2, 5, 7), np.nan), {}, "are not all finite numbers"),
        (np.full((1, 2, 5, 7), "a"), {}, "are not all finite numbers"),
    ],
)
def test_frames_that_do_not_fit_are_refused(frames, options, found):
    with pytest.raises(InputError, match=found):
        decode(frames, SENSOR, 10, **options)


def test_no_frames_give_no_events():
    assert len(decode(np.zeros((0, 2, 5, 7)), SENSOR)) == 0
