"""Few bits of weights in conversion: GPTQ on what the layers get."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nirbridge.converting.analog import AnalogGraph, analog_graph
from nirbridge.converting.convert import convert_in_full
from nirbridge.converting.evaluate import function, functions, values
from nirbridge.converting.rewrites import arrange
from nirbridge.converting.rounding import rounded_weights
from nirbridge.errors import InputError
from nirbridge.quantizing.gptq import gptq
from nirbridge.quantizing.steps import channel_steps
from tests.converting.grids import integers_on_a_grid
from tests.converting.networks import Trained


@pytest.fixture(scope="module")
def graph(cnn: Trained) -> AnalogGraph:
    traced = analog_graph(cnn.module, (1, 8, 8))
    return arrange(traced, into_threshold=True, spiking_averages=True, input_too=True)


def ran(graph: AnalogGraph, x: torch.Tensor) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """What enters and leaves every node."""
    with torch.no_grad():
        return {name: (entering, y) for name, entering, y in values(graph, functions(graph, x.dtype), x)}


def test_gptq_keeps_the_outputs_of_pictures_it_has_not_seen(cnn: Trained, graph: AnalogGraph) -> None:
    seen, test = torch.as_tensor(cnn.train[:100]), torch.as_tensor(cnn.test)
    expected = ran(graph, test)[graph.output][1]
    for bits in (4, 3):
        lost = [
            float((ran(rounded_weights(graph, [seen], bits, how), test)[graph.output][1] - expected).square().mean())
            for how in ("nearest", "gptq")
        ]
        assert lost[1] < 0.5 * lost[0]


def test_a_layer_is_rounded_by_what_the_rounded_layers_before_it_send(cnn: Trained, graph: AnalogGraph) -> None:
    seen = torch.as_tensor(cnn.train[:100])
    rounded = rounded_weights(graph, [seen[:60], seen[60:]], 3, "gptq")
    weight = graph.nodes["fc"].weight
    step = channel_steps(weight, 3)

    def by_hand(network: AnalogGraph) -> np.ndarray:
        """Of the integers, each row times the number that brings its sums closest to those of the weights."""
        x = ran(network, seen)["fc"][0].numpy().astype(np.float64)
        integers = gptq(weight, x.T @ x, step, 3, 0.05).astype(np.float64)
        sums, wanted = x @ integers.T, x @ weight.T
        return np.asarray(integers * ((sums * wanted).sum(0) / (sums * sums).sum(0))[:, None])

    np.testing.assert_allclose(rounded.nodes["fc"].weight, by_hand(rounded), atol=1e-5)
    assert np.abs(by_hand(graph) - by_hand(rounded)).max() > 0.1 * step.max()
    assert (graph.nodes["fc"].weight == weight).all()


def test_a_bias_takes_up_what_the_mean_moves(cnn: Trained, graph: AnalogGraph) -> None:
    seen = torch.as_tensor(cnn.train[:100])
    rounded = rounded_weights(graph, [seen], 3, "gptq")
    entering = ran(rounded, seen)["conv2"][0]
    means = [ran_alone(g, "conv2", entering).mean((0, 2, 3)) for g in (graph, rounded)]
    assert np.abs(means[0] - means[1]).max() < 1e-5


def ran_alone(graph: AnalogGraph, name: str, x: torch.Tensor) -> np.ndarray:
    with torch.no_grad():
        return np.asarray(function(graph.nodes[name], x.dtype)(x))


def test_factors_of_what_enters_are_in_the_grid(cnn: Trained, graph: AnalogGraph) -> None:
    """A convolution whose inputs stand for λ x has λ in its weights, and these are the integers."""
    seen = torch.as_tensor(cnn.train[:100])
    factors = np.random.default_rng(0).uniform(0.2, 5, (12, 1, 1))
    for how in ("nearest", "gptq"):
        rounded = rounded_weights(graph, [seen], 4, how, {"conv2": factors})
        real, found = ((g.nodes["conv2"].weight * factors).reshape(12, -1) for g in (graph, rounded))
        levels = found / channel_steps(real, 4) if how == "nearest" else integers_on_a_grid(found, 4)
        np.testing.assert_allclose(levels, np.rint(levels), atol=1e-9)
        assert np.abs(levels).max() < 7.5


def test_few_bits_in_a_conversion(cnn: Trained) -> None:
    found = [
        convert_in_full(cnn.module, cnn.train[:200], weight_bits=3, weight_rounding=how) for how in ("nearest", "gptq")
    ]
    assert found[1].options["weight_rounding"] == "gptq"
    assert not np.array_equal(found[0].graph.nodes["fc"].weight, found[1].graph.nodes["fc"].weight)


def test_bad_options(cnn: Trained) -> None:
    with pytest.raises(InputError, match="option 'weight_rounding': 'up' is unknown"):
        convert_in_full(cnn.module, cnn.train, weight_bits=3, weight_rounding="up")
    with pytest.raises(InputError, match="option 'weight_rounding': is 'gptq', and weights stay in floating point"):
        convert_in_full(cnn.module, cnn.train, weight_rounding="gptq")
