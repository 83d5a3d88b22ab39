"""Shapes at edges: they stand beside their own line, and on nothing else."""

from __future__ import annotations

import itertools
import re
from xml.etree import ElementTree

import nir
import numpy as np
import pytest

from nirbridge.ir import MultiLevelLIF, build_graph
from nirbridge.showing import describe, to_svg
from nirbridge.showing.edge_labels import LABEL_SIZE, overhang, place_edge_labels, points_along
from nirbridge.showing.routing import Router
from tests.showing.test_show_picture import SCENES, SVG, boxes_of, laid_out


@pytest.mark.parametrize(("seed", "count"), SCENES)
def test_labels_stand_on_nothing(seed: int, count: int) -> None:
    placement, links = laid_out(seed, count)
    router = Router(placement)
    paths = [router.path(route) for route in placement.layered.routes]
    texts = [f"{8 + number}x16x16" for number in range(len(links))]
    places = place_edge_labels(paths, texts, placement, [(0.0, 0.0, 30.0, 30.0)])
    width = 46.0  # of nine characters of a narrow font
    labels = [(x, y - 5, x + width, y + 5) for x, y in filter(None, places)]
    assert len(labels) >= 0.4 * len(links)
    for a, b in itertools.combinations(labels, 2):
        assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]
    x, y = np.array(list(itertools.chain.from_iterable(map(points_along, paths)))).T
    for left, top, right, bottom in labels:
        assert not (left < 30 and top < 30)
        for box in boxes_of(placement).values():
            assert right <= box[0] or box[2] <= left or bottom <= box[1] or box[3] <= top
        assert not ((left < x) & (x < right) & (top < y) & (y < bottom)).any()


def test_points_follow_lines_and_curves() -> None:
    points = points_along("M0.0 0.0L0.0 8.0H10.0V0.0C10.0 -20.0 30.0 -20.0 30.0 0.0Q40.0 0.0 40.0 10.0")
    assert points[0] == (0, 0)
    assert points[-1] == (40, 10)
    assert {(0, 4), (0, 8), (10, 8), (10, 0), (30, 0)} <= set(points)
    assert min(y for _, y in points) == pytest.approx(-15, abs=0.1)  # where that cubic turns
    assert max(np.hypot(a[0] - b[0], a[1] - b[1]) for a, b in itertools.pairwise(points)) < 6


def _residual() -> nir.NIRGraph:
    conv = nir.Conv2d((4, 4), np.ones((8, 8, 3, 3)), 1, 1, 1, 1, np.zeros(8))
    nodes = {"input": nir.Input(np.array([8, 4, 4])), "act": MultiLevelLIF.one_hot((8, 4, 4), 2), "conv": conv,
             "add": MultiLevelLIF.one_hot((8, 4, 4), 2), "back": nir.Scale(np.ones((8, 4, 4))),
             "output": nir.Output(None)}  # fmt: skip
    edges = [("input", "act"), ("act", "conv"), ("conv", "add"), ("act", "add"), ("add", "output"), ("add", "back")]
    return build_graph(nodes, [*edges, ("back", "act")])


def test_every_edge_of_a_block_with_skip_and_cycle_says_its_shape_inside_of_the_picture() -> None:
    found = describe(_residual())
    root = ElementTree.fromstring(to_svg(found, "block"))
    labels = [text for text in root.iter(f"{SVG}text") if text.get("font-size") == str(LABEL_SIZE)]
    assert [text.text for text in labels] == ["8x4x4"] * len(found.edges)
    (group,) = [g for g in root.iter(f"{SVG}g") if g.get("transform")]
    shift = float(re.findall(r"[\d.]+", group.get("transform", ""))[0])
    for text in labels:
        assert 0 < shift + float(text.get("x", 0)) < float(root.get("width", 0)) - 30


def test_the_picture_grows_by_what_labels_reach_beyond_the_boxes() -> None:
    placement, _ = laid_out(1, 15)
    assert overhang([None], ["1"], placement) == 0
    reach = overhang([(-30.0, 50.0), (placement.width - 10, 80.0)], ["1", "100"], placement)
    assert reach == pytest.approx(31)


def test_a_picture_with_shared_lines_has_no_labels() -> None:
    names = [f"n{i}" for i in range(120)]
    nodes: dict[str, nir.NIRNode] = {name: nir.Linear(np.eye(4)) for name in names}
    nodes |= {"input": nir.Input(np.array([4])), "output": nir.Output(np.array([4]))}
    edges = [("input", "n0"), *itertools.combinations(names, 2), ("n119", "output")]
    root = ElementTree.fromstring(to_svg(describe(nir.NIRGraph(nodes, edges, type_check=False))))
    assert [text for text in root.iter(f"{SVG}text") if text.get("font-size") == str(LABEL_SIZE)] == []
