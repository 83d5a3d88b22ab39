"""Place and Product: their fields, their meaning against numpy, files, and what the checks say of them."""

from __future__ import annotations

from pathlib import Path

import nir
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nirbridge
from nirbridge.checking.reachability import thresholds_can_be_reached
from nirbridge.errors import GraphError, UnsupportedError
from nirbridge.ir import OPSET, Place, Product, build_graph, flatten, graphs_equal
from nirbridge.primitives.fields import Extension


def pair(second: tuple[int, int] = (3, 6), gate: tuple[int, ...] = (3,)) -> nir.NIRGraph:
    """x and y, of (3,) or of what broadcasts to it, brought to the two slots of a product."""
    nodes = {
        "x": nir.Input(np.array([3])),
        "y": nir.Input(np.array(gate)),
        "x.at": Place((3,), (6,), 0, 3),
        "y.at": Place(gate, (6,), *second),
        "m": Product((6,), 2),
        "output": nir.Output(None),
    }
    return build_graph(nodes, [("x", "x.at"), ("y", "y.at"), ("x.at", "m"), ("y.at", "m"), ("m", "output")])


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Place((3,), (6,), 4, 7), "slot 4..7 is not within the 6 indices"),
        (lambda: Place((3,), (6,), 3, 3), "slot 3..3"),
        (lambda: Place((3,), (6,), -1, 2), "start -1 is not a whole number"),
        (lambda: Place((3,), (6,), 0, 1.5), "stop 1.5 is not a whole number"),
        (lambda: Place((2, 4), (6, 4), 0, 3), r"input_shape \(2, 4\) does not broadcast to its slot \(3, 4\)"),
        (lambda: Place((3, 2), (6, 4), 0, 3), "does not broadcast"),
        (lambda: Place((3,), (6, 4), 0, 3), r"shape \(6, 4\) has 2 axes, expected 1"),
        (lambda: Place((), (), 0, 1), "has no axis"),
        (lambda: Product((6,), 1), "factors 1 is not a whole number of at least 2"),
        (lambda: Product((6, 2), 4), r"input_shape \(6, 2\) does not divide into 4 slots"),
        (lambda: Product((0,), 2), "not a positive whole number"),
    ],
)
def test_bad_fields(make: object, text: str) -> None:
    with pytest.raises(GraphError, match=text):
        make()  # type: ignore[operator]


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_meaning(data: st.DataObject) -> None:
    """y = Π x_i, each factor repeated as numpy repeats it, through Places that stand in any order."""
    size = st.integers(1, 3)
    shape = tuple(data.draw(st.lists(size, min_size=1, max_size=3)))
    factors = data.draw(st.integers(2, 4))
    slots = (factors * shape[0], *shape[1:])
    ones = [tuple(data.draw(st.sampled_from((1, n))) for n in shape) for _ in range(factors)]
    nodes: dict[str, nir.NIRNode] = {f"x{i}": nir.Input(np.array(own)) for i, own in enumerate(ones)}
    nodes |= {f"at{i}": Place(own, slots, i * shape[0], (i + 1) * shape[0]) for i, own in enumerate(ones)}
    nodes |= {"m": Product(slots, factors), "output": nir.Output(None)}
    order = data.draw(st.permutations(range(factors)))
    edges = [(f"x{i}", f"at{i}") for i in order] + [(f"at{i}", "m") for i in order] + [("m", "output")]
    generator = np.random.default_rng(data.draw(st.integers(0, 99)))
    values = {f"x{i}": generator.normal(size=(2, 3, *own)) for i, own in enumerate(ones)}
    expected = np.broadcast_to(values["x0"], (2, 3, *shape))
    for i in range(1, factors):
        expected = expected * values[f"x{i}"]
    with nirbridge.compile(build_graph(nodes, edges)) as program:
        np.testing.assert_array_equal(program.run(values).output, expected)


def test_file_keeps_the_fields_and_plain_nir_refuses_it(tmp_path: Path) -> None:
    path = tmp_path / "product.nir"
    graph = pair(gate=(1,))
    nirbridge.write(path, graph)
    back = nirbridge.read(path)
    assert graphs_equal(back, graph)
    place = back.nodes["y.at"]
    assert (place.input_shape, place.output_shape, place.start, place.stop) == ((1,), (6,), 3, 6)
    assert (back.nodes["m"].input_shape, back.nodes["m"].factors) == ((6,), 2)
    with pytest.raises(AssertionError):
        nir.read(path)


@pytest.mark.parametrize("node", [Place((1,), (2,), 0, 2), Product((2,), 2)])
def test_newer_opset_and_unknown_field_are_refused(node: Extension) -> None:
    stored = node.to_dict()
    assert stored["opset"] == OPSET
    with pytest.raises(GraphError, match=f"opset {OPSET + 1}"):
        type(node).from_dict({**stored, "opset": OPSET + 1})
    with pytest.raises(GraphError, match="unknown field 'axis'"):
        type(node).from_dict({**stored, "axis": 1})


def test_a_factor_without_an_edge_is_an_error() -> None:
    (problem,) = nirbridge.check(pair(second=(0, 3)))
    assert problem.rule == "products_have_their_factors"
    assert "no edge brings index 3 of axis 0, which belongs to factor 1" in str(problem)
    (partly,) = nirbridge.check(pair(second=(3, 5), gate=(2,)))
    assert "index 5" in str(partly)


def test_a_layer_may_bring_all_factors() -> None:
    nodes = {"input": nir.Input(np.array([2])), "fc": nir.Linear(np.ones((6, 2))), "m": Product((6,), 3)}
    nodes["output"] = nir.Output(None)
    graph = build_graph(nodes, [("input", "fc"), ("fc", "m"), ("m", "output")])
    assert not nirbridge.check(graph)


def test_wrong_shapes_are_named() -> None:
    nodes = {"input": nir.Input(np.array([4])), "m": Product((6,), 2), "output": nir.Output(None)}
    with pytest.raises(GraphError, match=r"input \(4,\) differs from its input_shape \(6,\)"):
        build_graph(nodes, [("input", "m"), ("m", "output")])


def test_bounds_of_a_product_reach_thresholds() -> None:
    """Spikes of 0 and 1: their product is at most 1, so a threshold of 1 is out of reach and one of 1/2 is not."""

    def graph(threshold: float) -> nir.NIRGraph:
        nodes = {
            "input": nir.Input(np.array([3])),
            "a": nir.Threshold(np.zeros(3)),
            "b": nir.Threshold(np.ones(3)),
            "a.at": Place((3,), (6,), 0, 3),
            "b.at": Place((3,), (6,), 3, 6),
            "m": Product((6,), 2),
            "t": nir.Threshold(np.full(3, threshold)),
            "output": nir.Output(None),
        }
        edges = [("input", "a"), ("input", "b"), ("a", "a.at"), ("b", "b.at"), ("a.at", "m"), ("b.at", "m")]
        return build_graph(nodes, [*edges, ("m", "t"), ("t", "output")])

    assert not thresholds_can_be_reached(flatten(graph(0.5)))
    (problem,) = thresholds_can_be_reached(flatten(graph(1.0)))
    assert "3 of 3 neurons cannot reach" in str(problem)


def test_expand_refuses_a_product_of_analog_values_by_name() -> None:
    with pytest.raises(UnsupportedError) as caught:
        nirbridge.expand(pair())
    assert [problem.where for problem in caught.value.problems] == ["node 'm' (Product)"]
