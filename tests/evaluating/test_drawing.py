"""Pictures of an evaluation."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import nirbridge
from tests.evaluating.networks import IMAGES, LABELS, small

pytest.importorskip("matplotlib")

from nirbridge.evaluating.drawing import _draw_confusion, _draw_steps
from nirbridge.pictures import new_figure


@pytest.mark.parametrize("accuracy", [0.0, 0.08, 0.3, 0.99])
@pytest.mark.parametrize("settled", [1, 7, 20])
@pytest.mark.parametrize("classes", [2, 4, 10])
def test_the_text_beside_the_curve_stays_within_it(accuracy: float, settled: int, classes: int) -> None:
    figure = new_figure(11.5, 5.6)
    axis = figure.subplots(1, 2)[1]
    steps = np.full(20, accuracy)
    steps[: settled - 1] = 0.5
    _draw_steps(axis, SimpleNamespace(by_step=steps, settled=settled, classes=classes))
    figure.canvas.draw()
    space = axis.get_window_extent()
    boxes = [text.get_window_extent() for text in axis.texts]
    assert len(boxes) == 2
    assert not boxes[0].overlaps(boxes[1])
    for text, box in zip(axis.texts, boxes, strict=True):
        assert space.x0 <= box.x0 <= box.x1 <= space.x1, text.get_text()
        assert space.y0 <= box.y0 <= box.y1 <= space.y1, text.get_text()


def test_the_picture_shows_what_was_found(tmp_path: Path) -> None:
    found = nirbridge.evaluate(small(), IMAGES, LABELS, steps=4)
    found.draw(tmp_path / "p.png")
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")
    figure = new_figure(6.4, 5.6)
    axis = figure.subplots()
    _draw_confusion(figure, axis, found.confusion)
    counts = sum(int(text.get_text()) for text in axis.texts)
    assert counts == 53
