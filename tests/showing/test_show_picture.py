"""The picture: nothing overlaps, lines begin and end at their boxes, the document is well-formed."""

from __future__ import annotations

import itertools
import random
import re
from xml.etree import ElementTree

import nir
import numpy as np
import pytest

from nirbridge.ir import MultiLevelLIF
from nirbridge.showing import describe, to_svg
from nirbridge.showing.columns import choose_columns
from nirbridge.showing.layering import Layered, Link, find_ranks, make_layers
from nirbridge.showing.ordering import count_crossings, order_layers
from nirbridge.showing.placement import Placement, place_boxes
from nirbridge.showing.positions import _spread
from nirbridge.showing.routing import Router

SVG = "{http://www.w3.org/2000/svg}"


def random_links(seed: int, count: int) -> list[Link]:
    """A chain with skips, branches, backward edges and a self-loop."""
    rng = random.Random(seed)
    links = [(f"n{i - 1}", f"n{i}", False) for i in range(1, count)]
    for _ in range(count // 2):
        a, b = sorted(rng.sample(range(count), 2))
        links.append((f"n{a}", f"n{b}", False))
    for _ in range(count // 8):
        a, b = sorted(rng.sample(range(count), 2))
        links.append((f"n{b}", f"n{a}", True))
    return [*links, ("n1", "n1", True)]


def layered_graph(names: list[str], links: list[Link]) -> Layered:
    return make_layers(find_ranks(names, links), links)


def laid_out(seed: int, count: int) -> tuple[Placement, list[Link]]:
    links = random_links(seed, count)
    rng = random.Random(seed)
    return place_boxes(
        {f"n{i}": (rng.choice([84.0, 120.0, 200.0]), rng.choice([50.0, 70.0])) for i in range(count)}, links
    ), links


def boxes_of(placement: Placement) -> dict[str, tuple[float, float, float, float]]:
    found = {}
    for name, vertex in placement.layered.box.items():
        width, height = placement.sizes[name]
        x, y = placement.x[vertex], placement.top[vertex]
        found[name] = (x - width / 2, y, x + width / 2, y + height)
    return found


SCENES = [(0, 6), (1, 15), (2, 40), (3, 90)]


@pytest.mark.parametrize(("seed", "count"), SCENES)
def test_boxes_and_lanes_never_overlap(seed: int, count: int) -> None:
    placement, _ = laid_out(seed, count)
    boxes = boxes_of(placement)
    for a, b in itertools.combinations(boxes.values(), 2):
        assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]
    for lane in set(range(len(placement.x))) - set(placement.layered.box.values()):
        x, top, bottom = placement.x[lane], placement.top[lane], placement.bottom[lane]
        for left, upper, right, lower in boxes.values():
            assert not (left < x < right and top < lower and upper < bottom)


@pytest.mark.parametrize(("seed", "count"), SCENES)
def test_all_lies_within_the_picture(seed: int, count: int) -> None:
    placement, _ = laid_out(seed, count)
    router = Router(placement)
    paths = " ".join(router.path(route) for route in placement.layered.routes)
    numbers = [float(n) for n in re.findall(r"-?\d+\.\d+", paths)]
    assert min(numbers) >= 0
    assert max(numbers[0::2]) <= placement.width + 100
    assert max(numbers[1::2]) <= placement.height
    for left, top, right, bottom in boxes_of(placement).values():
        assert left >= -1e-6
        assert top >= 0
        assert right <= placement.width + 1e-6
        assert bottom <= placement.height


@pytest.mark.parametrize(("seed", "count"), SCENES)
def test_lines_leave_below_their_source_and_arrive_above_their_target(seed: int, count: int) -> None:
    placement, links = laid_out(seed, count)
    router, boxes = Router(placement), boxes_of(placement)
    for (source, target, _), route in zip(links, placement.layered.routes, strict=True):
        numbers = [float(n) for n in re.findall(r"-?\d+\.\d+", router.path(route))]
        left, _, right, bottom = boxes[source]
        assert left < numbers[0] < right
        assert numbers[1] == pytest.approx(bottom, abs=0.06)
        left, top, right, _ = boxes[target]
        assert left < numbers[-2] < right
        assert numbers[-1] == pytest.approx(top, abs=0.06)


def test_edges_lead_down_except_where_they_close_a_cycle() -> None:
    layered = layered_graph([f"n{i}" for i in range(40)], random_links(2, 40))
    for (source, target, closing), route in zip(random_links(2, 40), layered.routes, strict=True):
        ranks = [layered.rank[vertex] for vertex in route]
        if closing:
            lanes = ranks[1:-1]
            assert lanes == list(range(lanes[0], lanes[-1] - 1, -1))
            assert (ranks[0], ranks[-1]) == (lanes[0], lanes[-1])
        else:
            assert ranks == list(range(ranks[0], ranks[-1] + 1))
        assert (route[0], route[-1]) == (layered.box[source], layered.box[target])


def test_skips_from_one_node_share_a_lane() -> None:
    names = ["a", "b", "c", "d", "e"]
    links = [(x, y, False) for x, y in itertools.pairwise(names)] + [("a", "d", False), ("a", "e", False)]
    layered = layered_graph(names, links)
    to_d, to_e = layered.routes[-2:]
    assert to_d[:-1] == to_e[: len(to_d) - 1]
    assert len(layered.rank) == len(names) + 3


def test_a_start_stands_just_above_what_it_feeds() -> None:
    layered = layered_graph(["a", "b", "late", "c"], [("a", "b", False), ("b", "c", False), ("late", "c", False)])
    assert layered.rank[layered.box["late"]] == 1


def test_crossings_are_counted_as_by_hand() -> None:
    rng = random.Random(4)
    above, below = list(range(12)), list(range(12, 24))
    rng.shuffle(below)
    lower = {v: rng.sample(below, 3) if v in above else [] for v in range(24)}
    links = [(above.index(u), below.index(v)) for u in above for v in lower[u]]
    expected = sum((a - c) * (b - d) < 0 for (a, b), (c, d) in itertools.combinations(links, 2))
    assert expected > 0
    assert count_crossings([above, below], lower) == expected


def test_sweeps_undo_crossings() -> None:
    names = ["a0", "a1", "a2", "b0", "b1", "b2"]
    links = [("a0", "b2", False), ("a1", "b1", False), ("a2", "b0", False)]
    layered = layered_graph(names, links)
    lower = {v: [b for a, b in layered.links if a == v] for v in range(6)}
    assert count_crossings(layered.layers(), lower) == 3
    assert count_crossings(order_layers(layered), lower) == 0


def test_spreading_is_the_least_squares_solution() -> None:
    rng = np.random.default_rng(1)
    count = 7
    wanted, weights = rng.normal(size=count) * 60, rng.random(count) + 0.1
    widths = list(rng.integers(10, 60, count).astype(float))
    x = [0.0] * count
    _spread(list(range(count)), list(wanted), list(weights), widths, x)
    found = np.array(x)
    gaps = np.array([(a + b) / 2 + 18 for a, b in itertools.pairwise(widths)])
    slack = np.diff(found) - gaps
    assert slack.min() >= -1e-9
    # Optimality: moving any run of touching neighbours as one does not lower the cost.
    gradient = 2 * weights * (found - wanted)
    for start in range(count):
        for stop in range(start + 1, count + 1):
            free_left = start == 0 or slack[start - 1] > 1e-9
            free_right = stop == count or slack[stop - 1] > 1e-9
            total = gradient[start:stop].sum()
            assert not (free_left and total > 1e-6)
            assert not (free_right and total < -1e-6)


def test_tall_drawings_fold_and_short_ones_do_not() -> None:
    assert choose_columns([100.0] * 12, 200.0, [1] * 12) == [0] * 12
    columns = choose_columns([100.0] * 300, 200.0, [1] * 300)
    sizes = [columns.count(c) for c in range(max(columns) + 1)]
    assert columns == sorted(columns)
    assert 10 <= len(sizes) <= 20
    assert max(sizes) - min(sizes[:-1]) <= 8
    passing = [2] * 300
    passing[sizes[0]] = 1
    assert choose_columns([100.0] * 300, 200.0, passing).count(0) == sizes[0] + 1


def _chain(count: int) -> nir.NIRGraph:
    nodes: dict[str, nir.NIRNode] = {"input": nir.Input(np.array([4]))}
    for i in range(count):
        nodes[f"n{i}"] = nir.Linear(np.eye(4)) if i % 2 else MultiLevelLIF.one_hot((4,), 2)
    nodes["output"] = nir.Output(np.array([4]))
    names = list(nodes)
    edges = [*itertools.pairwise(names), *((names[i], names[i + 7]) for i in range(3, count - 8, 11)), ("n9", "n4")]
    return nir.NIRGraph(nodes, edges, type_check=False)


def test_a_picture_of_hundreds_of_nodes_has_the_form_of_a_page() -> None:
    found = describe(_chain(298))
    root = ElementTree.fromstring(to_svg(found, "chain"))
    width, height = float(root.get("width", 0)), float(root.get("height", 0))
    assert 0.5 < width / height < 3
    assert len(root.findall(f".//{SVG}g[@class='node']")) == 300
    edges = root.findall(f".//{SVG}path[@class='edge']")
    assert len(edges) == len(found.edges)
    dashed = [edge for edge in edges if edge.get("stroke-dasharray")]
    assert len(dashed) == 1
    words = [text.text for text in root.iter(f"{SVG}text")]
    assert words.count("1 step") == 1
    assert "arrives one step later" in words
    assert {"chain", "weights", "multi-level neuron", "input, output"} <= set(words)
    assert "binary neuron" not in words


def test_names_of_strangers_are_escaped_and_cut() -> None:
    name = "<script>&\"'\x1b[31m" + "x" * 80
    nodes = {name: nir.Input(np.array([4])), "out": nir.Output(np.array([4]))}
    text = to_svg(describe(nir.NIRGraph(nodes, [(name, "out")], type_check=False)), "a<b&c")
    root = ElementTree.fromstring(text)
    assert "\x1b" not in text
    assert all("script" not in element.tag for element in root.iter())
    bold = [t.text or "" for t in root.iter(f"{SVG}text") if t.get("font-weight")]
    assert "a<b&c" in bold
    assert max(map(len, bold)) <= 34
    assert any((t.text or "").startswith("<script>&\"'\\x1b[31m" + "x" * 80) for t in root.iter(f"{SVG}title"))


def test_a_text_fits_its_box() -> None:
    root = ElementTree.fromstring(to_svg(describe(_chain(6))))
    for group in root.findall(f".//{SVG}g[@class='node']"):
        box = group.find(f"{SVG}rect")
        assert box is not None
        left, top = float(box.get("x", 0)), float(box.get("y", 0))
        for text in group.findall(f"{SVG}text"):
            assert left < float(text.get("x", 0)) < left + float(box.get("width", 0))
            assert top < float(text.get("y", 0)) < top + float(box.get("height", 0))
            assert len(text.text or "") * 11 * 0.45 < float(box.get("width", 0))


def _dense(kind: str, count: int) -> nir.NIRGraph:
    """Everything with everything: forward, forward and backward, or one half with the other."""
    nodes: dict[str, nir.NIRNode] = {"input": nir.Input(np.array([2]))}
    nodes |= {f"n{i}": nir.Scale(np.ones(2)) for i in range(count)}
    nodes["output"] = nir.Output(np.array([2]))
    numbers = range(count)
    inner = {
        "forward": [(i, j) for i in numbers for j in range(i + 1, count)],
        "both ways": [(i, j) for i in numbers for j in numbers],
        "halves": [(i, j) for i in range(count // 2) for j in range(count // 2, count)],
    }[kind]
    starts, ends = {j for _, j in inner}, {i for i, _ in inner}
    edges = [("input", f"n{i}") for i in numbers if i not in starts or i == 0]
    edges += [(f"n{i}", f"n{j}") for i, j in inner]
    edges += [(f"n{i}", "output") for i in numbers if i not in ends or i == count - 1]
    return nir.NIRGraph(nodes, edges, type_check=False)


def _number(text: str | None) -> int:
    return int((text or "0").replace(",", ""))


@pytest.mark.parametrize(("kind", "count"), [("forward", 120), ("both ways", 90), ("halves", 220)])
def test_every_edge_of_a_dense_graph_is_drawn_or_counted(kind: str, count: int) -> None:
    found = describe(_dense(kind, count))
    text = to_svg(found, "dense")
    assert len(text) < 100 * len(found.edges)
    root = ElementTree.fromstring(text)
    lines = root.findall(f".//{SVG}path[@class='edge']")
    titles = [t.text or "" for path in root.findall(f".//{SVG}path[@class='bundle']") for t in path]
    sent = {
        re.split(": | → ", title)[1]: [*names.split(", ")]
        for title in titles
        if re.match(r"[\d,]+ bundled edges?: ", title)
        for names in [title.split(" → ")[1]]
    }
    bundled = sum(_number(title.split()[0]) for title in titles if re.match(r"[\d,]+ bundled edges?: ", title))
    assert len(lines) + bundled == len(found.edges)
    assert len(lines) < 4 * count
    words = [text.text or "" for text in root.iter(f"{SVG}text")]
    assert any(word.startswith(f"{bundled:,} edges in shared lines") for word in words)
    edges = {(edge.source, edge.target) for edge in found.edges}
    for source, targets in sent.items():
        *named, last = targets
        known = [*named, last.split(" and ")[0]]
        assert all((source, target) in edges for target in known)
    dashed = {path.get("stroke-dasharray") for path in root.findall(f".//{SVG}path[@class='bundle']")}
    assert dashed == ({None, "5 4"} if kind == "both ways" else {None})


def test_what_arrives_in_a_bundle_is_what_was_sent() -> None:
    root = ElementTree.fromstring(to_svg(describe(_dense("forward", 120))))
    titles = [t.text or "" for path in root.findall(f".//{SVG}path[@class='bundle']") for t in path]
    sent = sum(_number(title.split()[0]) for title in titles if ": " in title)
    arrived = sum(_number(title.split()[0]) for title in titles if ": " not in title)
    assert sent == arrived == 120 * 119 // 2 - 119


@pytest.mark.parametrize("kind", ["forward", "both ways", "halves"])
def test_shared_lines_stay_within_the_picture_and_off_the_boxes(kind: str) -> None:
    found = describe(_dense(kind, 160))
    root = ElementTree.fromstring(to_svg(found))
    width, height = float(root.get("width", 0)), float(root.get("height", 0))
    boxes = [
        [float(box.get(key, 0)) for key in ("x", "y", "width", "height")]
        for box in root.findall(f".//{SVG}g[@class='node']/{SVG}rect")
    ]
    for path in root.findall(f".//{SVG}path[@class='bundle']"):
        data = re.findall(r"([MHV])(-?[\d.]+)(?: (-?[\d.]+))?", path.get("d", ""))
        x, y = float(data[0][1]), float(data[0][2])
        assert 0 <= x <= width
        assert 0 <= y <= height
        for command, value, _ in data[1:]:
            to = (float(value), y) if command == "H" else (x, float(value))
            (left, right), (top, bottom) = sorted((x, to[0])), sorted((y, to[1]))
            for bx, by, bw, bh in boxes:
                crosses = left < bx + bw - 0.2 and right > bx + 0.2 and top < by + bh - 0.2 and bottom > by + 0.2
                assert not crosses
            x, y = to


def test_few_edges_are_never_bundled() -> None:
    text = to_svg(describe(_dense("forward", 24)))
    assert "bundle" not in text
    assert text.count('class="edge"') == 24 * 23 // 2 + 2
