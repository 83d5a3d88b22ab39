"""Which axes of an array are samples and steps."""

from __future__ import annotations

import pytest

from nirbridge.errors import InputError
from nirbridge.evaluating.layout import layout_of


@pytest.mark.parametrize(
    ("array", "shape", "labels", "order", "expected"),
    [
        ((9, 2, 3), (2, 3), None, None, (9, 0, None)),
        ((9, 4, 2, 3), (2, 3), None, None, (9, 0, 4)),
        ((9, 4, 2, 3), (2, 3), 9, None, (9, 0, 4)),
        ((4, 9, 2, 3), (2, 3), 9, None, (9, 1, 4)),
        ((9, 9, 2, 3), (2, 3), 9, None, (9, 0, 9)),
        ((9, 9, 2, 3), (2, 3), 9, "tn", (9, 1, 9)),
        ((9, 4, 2, 3), (2, 3), 4, "nt", (9, 0, 4)),
        ((9, 6), (6,), None, None, (9, 0, None)),
        ((9,), (), None, None, (9, 0, None)),
        ((9, 4), (), 4, None, (4, 1, 9)),
        ((9, 3, 3), (3,), 9, None, (9, 0, 3)),
    ],
)
def test_samples_and_steps(array, shape, labels, order, expected) -> None:
    found = layout_of("data", array, shape, labels, order)
    assert (found.samples, found.axis, found.steps) == expected


@pytest.mark.parametrize(
    ("array", "shape", "steps"),
    [((9, 28, 28), (1, 28, 28), None), ((9, 784), (1, 28, 28), None), ((9, 5, 28, 28), (784,), 5)],
)
def test_other_axes_of_a_frame_are_taken_and_said(array, shape, steps) -> None:
    found = layout_of("data", array, shape)
    assert (found.samples, found.steps, found.shape) == (9, steps, shape)
    assert "taken in C order" in found.notes[0]


def test_a_time_axis_is_said_with_the_way_to_read_it_otherwise() -> None:
    (note,) = layout_of("data", (9, 4, 6), (6,)).notes
    assert (
        note == "data: shape (9, 4, 6) is read as [N, T, ..], 9 samples of 4 steps; --order tn reads it the other way."
    )
    assert layout_of("data", (9, 4, 6), (6,), order="nt").notes == ()


@pytest.mark.parametrize(
    ("array", "shape", "found"),
    [
        ((9, 5), (6,), "shape (9, 5) does not fit, expected still images [N, 6] or frames [N, T, 6]"),
        ((6,), (6,), "does not fit"),
        ((0, 6), (6,), "holds no sample"),
        ((9, 0, 6), (6,), "holds no sample or no value"),
        ((2, 1, 6), (2, 3), "fits in two ways"),
        ((9, 1, 28, 28), (784,), "fits in two ways"),
    ],
)
def test_what_does_not_fit_is_refused(array, shape, found) -> None:
    with pytest.raises(InputError) as caught:
        layout_of("data", array, shape)
    assert found in str(caught.value)
