"""What stands in the panels is what a run records."""

from __future__ import annotations

from typing import Any

import nir
import numpy as np
import pytest
from numpy.testing import assert_array_equal

import nirbridge
from nirbridge.errors import InputError
from nirbridge.ir import MultiLevelLIF, PhaseIF, build_graph, flatten
from nirbridge.pictures.palette import CYCLE, FALLING, RISING
from nirbridge.plotting import Picture
from nirbridge.plotting.membrane import limits_of
from nirbridge.runtime import make_plan
from tests.plotting.networks import CLASSES, HIDDEN, INPUTS, STEPS, data, levels_graph, line, phase_graph

pytest.importorskip("matplotlib")


def panels(picture: Picture) -> list[Any]:
    """The axes over time, from top to bottom."""
    return [axis for axis in picture.figure.axes if axis.axison]


def lines_of(axis: Any, gid: str) -> list[Any]:
    return [found for found in axis.lines if found.get_gid() == gid]


def key_of(picture: Picture, row: int) -> list[str]:
    """The texts beside a panel."""
    keys = [axis for axis in picture.figure.axes if not axis.axison]
    legend = keys[row].get_legend()
    return [legend.get_title().get_text(), *(text.get_text() for text in legend.get_texts())]


def recorded(graph: nir.NIRGraph, x: np.ndarray, *names: str, **options: Any) -> nirbridge.runtime.Recording:
    with nirbridge.compile(graph, **options) as program:
        return program.run(x, record=names)


def test_a_raster_has_every_spike_in_the_colour_of_its_level() -> None:
    graph, x = levels_graph(), data()
    spikes = recorded(graph, x, "n1").records["n1"][:, 2]
    picture = nirbridge.plot(graph, x, ["n1"], sample=2)
    drawn = lines_of(panels(picture)[0], "spikes")
    assert [one.get_color() for one in drawn] == list(RISING[:3])
    for level, points in zip((1, 2, 4), drawn, strict=True):
        steps, neurons = np.nonzero(spikes == level)
        assert_array_equal(points.get_xdata(), steps)
        assert_array_equal(points.get_ydata(), neurons)
    counts = [f"{level}: {(spikes == level).sum()}" for level in (4, 2, 1)]
    assert key_of(picture, 0) == ["level: spikes", *counts]
    assert min((spikes == level).sum() for level in (1, 2, 4)) > 0


def test_levels_below_0_and_many_levels_have_colours_of_their_own() -> None:
    signed = MultiLevelLIF((HIDDEN,), 0.5, 1.0, 0.0, np.array([0.5, 1, 2]), np.array([1, -2, 5]), np.ones(3), 0.0)
    many = MultiLevelLIF.uniform((HIDDEN,), 31, 0.1)
    weight = np.random.default_rng(3).normal(size=(HIDDEN, INPUTS))
    for neuron, colours, words in (
        (signed, [FALLING[0], RISING[0], RISING[1]], ["5", "1", "-2"]),
        (many, list(RISING), ["27 to 31", "22 to 26", "17 to 21", "12 to 16", "7 to 11", "1 to 6"]),
    ):
        graph = line(nir.Linear(weight), neuron, shape=(INPUTS,))
        spikes = recorded(graph, data(), "n1").records["n1"][:, 0]
        picture = nirbridge.plot(graph, data(), ["n1"])
        drawn = lines_of(panels(picture)[0], "spikes")
        assert [one.get_color() for one in drawn] == colours
        assert sum(len(one.get_xdata()) for one in drawn) == np.count_nonzero(spikes) > 50
        assert [text.partition(":")[0] for text in key_of(picture, 0)[1:]] == words


def test_of_a_large_layer_some_neurons_are_drawn_and_all_are_counted() -> None:
    weight = np.random.default_rng(3).normal(size=(1000, INPUTS))
    graph = line(nir.Linear(weight), nir.IF(np.ones(1000), np.ones(1000), np.zeros(1000)), shape=(INPUTS,))
    spikes = recorded(graph, data(), "n1").records["n1"][:, 0]
    picture = nirbridge.plot(graph, data(), ["n1"])
    (points,) = lines_of(panels(picture)[0], "spikes")
    assert len(points.get_xdata()) == np.count_nonzero(spikes[:, ::5])
    assert "200 of 1,000 neurons, evenly spread" in panels(picture)[0].get_title(loc="left")
    assert key_of(picture, 0)[1] == f"{np.count_nonzero(spikes):,} spikes"
    (rate,) = lines_of(panels(picture)[1], "rate")
    assert_array_equal(rate.get_ydata(), np.count_nonzero(spikes, axis=1) / 1000)

    asked = nirbridge.plot(graph, data(), ["n1"], neurons=[3, 4, 5, 700, 5000])
    (points,) = lines_of(panels(asked)[0], "spikes")
    assert len(points.get_xdata()) == np.count_nonzero(spikes[:, [3, 4, 5, 700]])
    assert "3–5, 700 of 1,000 neurons" in panels(asked)[0].get_title(loc="left")
    assert panels(asked)[0].yaxis.get_major_formatter()(3, 0) == "700"


@pytest.mark.parametrize("reset", ["subtract", "value"])
def test_membranes_stand_beside_all_thresholds_and_the_reset(reset: str) -> None:
    graph, x = levels_graph(reset=reset, v_reset=0.25 * (reset == "value")), data()
    found = recorded(graph, x, "n1", "n1:v").records
    v, spikes = found["n1:v"][:, 0], found["n1"][:, 0]
    picture = nirbridge.plot(graph, x, ["n1:v"], neurons=[2, 7])
    axis = panels(picture)[0]
    for number, drawn in zip((2, 7), lines_of(axis, "membrane"), strict=True):
        assert_array_equal(drawn.get_ydata(), v[:, number])
    assert [drawn.get_ydata()[0] for drawn in lines_of(axis, "threshold")] == [1, 2, 4]
    assert [drawn.get_ydata()[0] for drawn in lines_of(axis, "reset")] == ([] if reset == "subtract" else [0.25])
    fired = sum(len(mark.get_xdata()) for mark in lines_of(axis, "fired"))
    assert fired == np.count_nonzero(spikes[:, [2, 7]]) > 0
    low, high = axis.get_ylim()
    assert low < v[:, [2, 7]].min()
    assert high > 4


def test_thresholds_of_each_neuron_have_its_colour() -> None:
    theta = np.linspace(0.5, 1.5, HIDDEN)
    weight = np.random.default_rng(3).normal(size=(HIDDEN, INPUTS))
    neuron = nir.LIF(np.full(HIDDEN, 0.01), np.ones(HIDDEN) * 10, np.zeros(HIDDEN), theta, theta - 1)
    graph = line(nir.Linear(weight), neuron, shape=(INPUTS,))
    axis = panels(nirbridge.plot(graph, data(), ["n1:v"], neurons=[0, 19]))[0]
    drawn = lines_of(axis, "threshold")
    assert [(one.get_ydata()[0], one.get_color()) for one in drawn] == [(0.5, CYCLE[0]), (1.5, CYCLE[1])]
    assert [one.get_ydata()[0] for one in lines_of(axis, "reset")] == [-0.5, 0.5]
    subtracting = panels(nirbridge.plot(graph, data(), ["n1:v"], neurons=[0, 19], reset="subtract"))[0]
    assert len(lines_of(subtracting, "threshold")) == 2
    assert lines_of(subtracting, "reset") == []


def test_in_fixed_point_thresholds_are_those_of_the_chip() -> None:
    graph = nirbridge.quantize(levels_graph(), input="integers")
    name = "n1"
    picture = nirbridge.plot(graph, data().round(), [f"{name}:v"], precision="fixed")
    expected = flatten(graph).nodes[name].lane_threshold.reshape(3, -1)[:, 0]
    drawn = lines_of(panels(picture)[0], "threshold")
    assert [one.get_ydata()[0] for one in drawn] == expected.tolist()
    assert expected[0] > 10


def test_thresholds_of_several_spikes_are_those_of_the_first() -> None:
    """With two spikes left and 2, 1 and 0 phases m = 7/8, 3/4 and 1/2; in integers the table says it."""
    node = PhaseIF((5,), 3, 3, 2.0, 2.0, 4, 0, spikes=2)
    found = [limits_of(make_plan(line(node, shape=(5,)))["n0"], fixed) for fixed in (False, True)]
    assert all(limits is not None and "first spike" in limits.note for limits in found)
    assert [limits.thresholds[:, 0].tolist() for limits in found if limits] == [
        [1.75, 0.75, 0.25],
        [1.75 * 2**18, 0.75 * 2**18, 0.25 * 2**18],
    ]


def test_a_phase_code_has_its_own_steps_and_thresholds() -> None:
    graph, x = phase_graph(), np.random.default_rng(7).random((3, 1, 4))
    found = recorded(graph, x, "n2", "n2:v")
    picture = nirbridge.plot(graph, x, ["n2", "n2:v", "input"])
    raster, membrane, image, rates, scores = panels(picture)
    spikes = found.records["n2"][:, 0]
    assert spikes.shape == (12, 5)
    assert_array_equal(lines_of(raster, "spikes")[0].get_xdata(), np.nonzero(spikes)[0])
    assert tuple(raster.get_xlim()) == (-0.5, 11.5)
    assert scores.get_xlabel() == "step (4 for one of the input)"
    # The middle between two phases decides: m = (1 + 1/Q)/2.
    thresholds = [one.get_ydata()[0] for one in lines_of(membrane, "threshold")]
    assert thresholds == [0.75 / 2, 0.75 / 4, 0.75 / 8, 0.75 / 16]
    assert_array_equal(lines_of(image, "value")[0].get_xdata(), [0, 4, 8])
    assert [len(one.get_xdata()) for one in lines_of(rates, "rate")] == [12, 12]
    at_ends = found.output[3::4, 0]
    best = int(at_ends.mean(axis=0).argmax())
    squares = {tuple(one.get_ydata()) for one in scores.lines if one.get_marker() == "s"}
    means = np.cumsum(at_ends, axis=0) / [[1], [2], [3]]
    assert squares == {tuple(column) for column in means.T}
    assert f"class {best} at the end" in scores.get_title(loc="left")
    assert picture.activity.clock.seconds == 1e-3 / 4


def test_the_rates_of_a_deep_network_are_rows() -> None:
    rng = np.random.default_rng(8)
    layers = [(nir.Linear(rng.normal(size=(9, 9))), nir.IF(np.ones(9), np.ones(9), np.zeros(9))) for _ in range(9)]
    graph, x = line(*(node for pair in layers for node in pair), shape=(9,)), rng.uniform(0, 2, (STEPS, 1, 9))
    names = [f"n{2 * i + 1}" for i in range(9)]
    spikes = recorded(graph, x, *names).records
    picture = nirbridge.plot(graph, x)
    assert picture.notes == ("6 of 9 spiking nodes are drawn, record names others",)
    axis = panels(picture)[6]
    assert_array_equal(axis.images[0].get_array(), [(spikes[name][:, 0] != 0).mean(axis=1) for name in names])
    expected = [f"{name}  {(spikes[name] != 0).mean():.2g}" for name in names]
    assert [label.get_text() for label in axis.get_yticklabels()] == expected


def test_inputs_of_unlike_batches_are_refused_as_by_a_run() -> None:
    ends = {
        **{name: nir.Input({"input": np.array([2])}) for name in "ab"},
        "out": nir.Output({"output": np.array([2])}),
    }
    graph = build_graph(ends, [("a", "out"), ("b", "out")])
    with pytest.raises(InputError, match="inputs disagree about time and batch"):
        nirbridge.plot(graph, {"a": np.ones((4, 3, 2)), "b": np.ones((4, 2, 2))})


def test_scores_are_the_mean_so_far_and_decide_as_an_evaluation_does() -> None:
    graph, x = levels_graph(), data()
    output = recorded(graph, x).output
    picture = nirbridge.plot(graph, x, ["n1"], sample=1)
    axis = panels(picture)[-1]
    means = np.cumsum(output[:, 1], axis=0) / np.arange(1, STEPS + 1)[:, None]
    drawn = {tuple(np.round(one.get_ydata(), 9)) for one in lines_of(axis, "score")}
    assert drawn == {tuple(np.round(means[:, k], 9)) for k in range(CLASSES)}
    best = int(nirbridge.evaluate(graph, x.swapaxes(0, 1)).predictions[1])
    assert f"class {best} at the end" in axis.get_title(loc="left")
    assert key_of(picture, 2)[1] == f"class {best}: {means[-1, best]:.3g}"


def test_values_that_are_no_spikes_are_lines_or_an_image() -> None:
    graph, x = levels_graph(), data()
    found = recorded(graph, x, "n0", "n2").records
    image, lines, *_ = panels(nirbridge.plot(graph, x, ["n0", "n2"]))
    assert_array_equal(image.images[0].get_array(), found["n0"][:, 0].T)
    for number, drawn in enumerate(lines_of(lines, "value")):
        assert_array_equal(drawn.get_ydata(), found["n2"][:, 0, number])
    assert len(lines_of(lines, "value")) == CLASSES


def test_seconds_stand_above_the_steps() -> None:
    picture = nirbridge.plot(levels_graph(), data(), dt=0.25e-3)
    (above,) = panels(picture)[0].child_axes
    picture.figure.draw_without_rendering()
    assert above.get_xlabel() == "time, ms"
    assert above.get_xlim() == pytest.approx((-0.125, 2.875))


def test_every_spiking_primitive_with_a_membrane_says_its_thresholds() -> None:
    """A Spec without it fails at import; a neuron that forgets it cannot be."""
    from dataclasses import fields, replace

    from nirbridge.ir import all_specs

    firing = [spec for spec in all_specs() if spec.fires is not None]
    assert {spec.node.__name__ for spec in firing} >= {"IF", "LIF", "CubaLIF", "MultiLevelLIF", "PhaseIF"}
    for spec in firing:
        assert spec.sends.spikes
        with pytest.raises(TypeError, match="fires belongs to what sends spikes"):
            replace(spec, fires=None)
    assert "fires" in {field.name for field in fields(firing[0])}
