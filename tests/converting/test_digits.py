"""Networks trained on digits, converted without training: what conversion costs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import nirbridge
from nirbridge.converting import convert_in_full
from nirbridge.quantizing.steps import channel_steps
from tests.converting.grids import integers_on_a_grid
from tests.converting.networks import Trained


def outputs(network: Trained, **options: Any) -> np.ndarray:
    graph = convert_in_full(network.module, network.train, **options).graph
    with nirbridge.compile(graph, "norse") as program:
        return program.run(network.test[None]).output[-1]


def error(network: Trained, found: np.ndarray) -> float:
    return float(np.abs(found - network.analog()).mean() / np.abs(network.analog()).mean())


@pytest.fixture(params=["mlp", "cnn"])
def network(request: pytest.FixtureRequest) -> Trained:
    return request.getfixturevalue(request.param)


def test_the_networks_are_worth_converting(network: Trained) -> None:
    assert network.accuracy(network.analog()) > 96


@pytest.mark.parametrize("options", [{}, {"weight_bits": 8}, {"bn": "weights"}, {"wait": 10}, {"first_phase": 0}])
def test_less_than_a_point_is_lost_at_sixteen_phases(network: Trained, options: dict[str, Any]) -> None:
    found = outputs(network, phases=16, base=1.3, **options)
    assert network.accuracy(found) > network.accuracy(network.analog()) - 1


def test_a_residual_network_with_pre_activation_loses_less_than_a_point(pre_resnet: Trained) -> None:
    analog = pre_resnet.accuracy(pre_resnet.analog())
    assert analog > 96
    few, many = (outputs(pre_resnet, phases=phases) for phases in (16, 32))
    assert pre_resnet.accuracy(few) > analog - 1
    assert error(pre_resnet, many) < error(pre_resnet, few)


def test_the_loss_goes_to_zero_as_phases_grow(network: Trained) -> None:
    few = replace(network, test=network.test[:150], labels=network.labels[:150])
    found = {phases: outputs(few, phases=phases) for phases in (4, 16, 64, 200)}
    errors = [error(few, values) for values in found.values()]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.02
    assert (found[200].argmax(1) == few.analog().argmax(1)).all()


def test_without_rounding_the_code_is_several_times_worse(network: Trained) -> None:
    with_rounding, without = (
        error(network, outputs(network, base=1.3, rounding=r, calibrate="paper")) for r in (True, False)
    )
    assert without > 3 * with_rounding


def test_the_automatic_base_is_near_the_best_of_a_sweep(network: Trained) -> None:
    sweep = {base: error(network, outputs(network, base=base)) for base in (1.1, 1.2, 1.3, 1.5, 2.0)}
    assert error(network, outputs(network)) < 1.1 * min(sweep.values())


@pytest.mark.parametrize(("bits", "rounding"), [(8, "nearest"), (3, "nearest"), (3, "gptq")])
def test_few_bits_round_weights_to_their_grid(cnn: Trained, bits: int, rounding: str) -> None:
    """Every output channel's weights are multiples of one step; to the nearest of that which the weights fit best."""
    most = 2 ** (bits - 1) - 1
    whole = convert_in_full(cnn.module, cnn.train).graph
    rounded = convert_in_full(cnn.module, cnn.train, weight_bits=bits, weight_rounding=rounding).graph
    for name in ("conv1", "conv2", "fc"):
        rows, before = (
            graph.nodes[name].weight.reshape(len(graph.nodes[name].weight), -1) for graph in (rounded, whole)
        )
        if rounding == "nearest":
            levels = rows / channel_steps(before, bits)
            np.testing.assert_allclose(levels, np.rint(levels), atol=1e-9)
        else:
            levels = integers_on_a_grid(rows, bits)
        assert np.abs(levels).max() <= most + 1e-6
        assert len(np.unique(np.rint(levels))) > 2
