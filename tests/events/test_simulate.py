"""The simulated sensor against its equation, pixel by pixel."""

import math

import numpy as np
import pytest

from nirbridge.errors import InputError
from nirbridge_events import encode, moving_image, open_recording, saccades, write_nmnist
from tests.events import naive


def pixel_events(levels, times, threshold):
    """(t, p) of one pixel: walk from level crossing to level crossing."""
    m, events = 0, []
    for k in range(len(levels) - 1):
        while abs(levels[k + 1] - (levels[0] + m * threshold)) >= threshold * (1 - 1e-6):
            sign = 1 if levels[k + 1] > levels[0] + m * threshold else -1
            m += sign
            part = min((levels[0] + m * threshold - levels[k]) / (levels[k + 1] - levels[k]), 1.0)
            events.append((times[k] + math.floor(part * (times[k + 1] - times[k])), int(sign > 0)))
    return events


def test_whole_pixel_moves_equal_the_equation_pixel_by_pixel():
    rng = np.random.default_rng(0)
    image = rng.random((6, 7))
    path = [(0, 0), (1, 0), (1, -2), (-3, 1), (0, 0)]
    times = [10, 250, 1000, 1100, 5000]
    events = moving_image(image, np.array(path), np.array(times), threshold=0.15, floor=0.1, background=0.3)
    wanted = []
    for y in range(6):
        for x in range(7):
            light = [image[y - dy, x - dx] if 0 <= y - dy < 6 and 0 <= x - dx < 7 else 0.3 for dx, dy in path]
            levels = [math.log(value + 0.1) for value in light]
            wanted += [(t, x, y, p) for t, p in pixel_events(levels, times, 0.15)]
    assert len(wanted) > 300
    assert sorted(naive.rows_of(events)) == sorted(wanted)
    assert (np.diff(events.t) >= 0).all()


def test_part_pixel_moves_are_bilinear():
    image = np.zeros((5, 5))
    image[2, 2] = 1.0
    events = moving_image(image, np.array([(0, 0), (0.25, -0.5)]), np.array([0, 100]), threshold=1e-3, floor=1.0)
    ends = {(2, 2): 0.375, (2, 1): 0.375, (3, 2): 0.125, (3, 1): 0.125}
    for (x, y), light in ends.items():
        here = (events.x == x) & (events.y == y)
        start = 1.0 if (x, y) == (2, 2) else 0.0
        change = (math.log(1 + light) - math.log(1 + start)) / 1e-3
        assert here.sum() == abs(math.trunc(change))
        assert set(events.p[here].tolist()) == {int(change > 0)}
    assert set(zip(events.x.tolist(), events.y.tolist(), strict=True)) == set(ends)


def test_an_image_at_rest_is_silent():
    assert len(moving_image(np.ones((4, 4)), np.zeros((3, 2)), np.arange(3), background=1.0)) == 0


def test_saccades_go_around_a_triangle():
    path, times = saccades(amplitude=4.0, duration=1000, steps=4)
    assert path[::4].tolist() == [[-2, -2], [0, 2], [2, -2], [-2, -2]]
    assert path[2].tolist() == [-1, 0]
    assert times.tolist() == list(range(0, 3001, 250))


def test_equal_arguments_give_equal_recordings_that_fit_the_formats(tmp_path):
    image = np.zeros((34, 34))
    image[8:26, 12:20] = 1.0
    events = moving_image(image, *saccades())
    assert naive.rows_of(events) == naive.rows_of(moving_image(image, *saccades()))
    assert len(events) > 1000
    write_nmnist(tmp_path / "a.bin", events)
    frames = encode(open_recording(tmp_path / "a.bin"), coding="count")
    assert frames.shape[1:] == (2, 34, 34)
    assert frames.sum() == len(events)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"image": np.zeros(3)}, "image: shape"),
        ({"image": np.full((2, 2), np.nan)}, "image: shape"),
        ({"image": -np.ones((2, 2))}, "image: shape"),
        ({"path": np.zeros((2, 3))}, "path of shape"),
        ({"times": np.array([0, 1, 2])}, "with \\(3,\\) times"),
        ({"times": np.array([1, 1])}, "do not grow"),
        ({"threshold": 0.0}, "not both positive"),
    ],
)
def test_arguments_out_of_range(change, found):
    arguments = {"image": np.ones((2, 2)), "path": np.zeros((2, 2)), "times": np.array([0, 1])}
    with pytest.raises(InputError, match=found):
        moving_image(**{**arguments, **change})
