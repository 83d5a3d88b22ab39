"""GPTQ against the paper's own form of it, and against rounding to the nearest."""

from __future__ import annotations

import numpy as np
import pytest

from nirbridge.quantizing.gptq import BLOCK, DAMPING, gptq
from nirbridge.quantizing.scales import integers_of, largest_weight
from nirbridge.quantizing.steps import channel_steps


def correlated(random: np.random.Generator, inputs: int, samples: int) -> np.ndarray:
    """H of inputs that share a few causes."""
    causes = random.normal(size=(samples, max(inputs // 4, 1)))
    x = causes @ random.normal(size=(causes.shape[1], inputs)) + 0.3 * random.normal(size=(samples, inputs))
    return 2 * x.T @ x


def slow(weight: np.ndarray, hessian: np.ndarray, step: np.ndarray, bits: int) -> np.ndarray:
    """Equation 2 of the paper, one weight at a time: the inverse is made anew for what is not rounded yet."""
    damped = hessian + DAMPING * np.diag(hessian).mean() * np.eye(len(hessian))
    order = np.argsort(-np.diag(hessian), kind="stable")
    found = np.zeros(weight.shape)
    for row in range(len(weight)):
        w = weight[row].astype(np.float64)
        for done, j in enumerate(order):
            left = order[done:]
            inverse = np.linalg.inv(damped[np.ix_(left, left)])
            found[row, j] = integers_of(np.asarray(w[j] / step[row, 0]), bits)
            w[left] -= (w[j] - found[row, j] * step[row, 0]) / inverse[0, 0] * inverse[0]
    return found


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
@pytest.mark.parametrize("inputs", [1, 5, 17])
def test_equals_the_paper_one_weight_at_a_time(inputs: int, bits: int) -> None:
    random = np.random.default_rng(inputs * 10 + bits)
    weight, hessian = random.normal(size=(4, inputs)), correlated(random, inputs, 60)
    step = channel_steps(weight, bits)
    assert (gptq(weight, hessian, step, bits) == slow(weight, hessian, step, bits)).all()


def test_blocks_change_nothing() -> None:
    random = np.random.default_rng(3)
    inputs = BLOCK + 21
    weight, hessian = random.normal(size=(2, inputs)), correlated(random, inputs, 500)
    step = np.full((2, 1), 0.25)
    assert (gptq(weight, hessian, 0.25, 4) == slow(weight, hessian, step, 4)).all()


def test_groups_are_layers_beside_each_other() -> None:
    random = np.random.default_rng(4)
    weight = random.normal(size=(3, 2, 9))
    hessian = np.stack([correlated(random, 9, 40) for _ in range(3)])
    step = channel_steps(weight, 4)
    apart = [gptq(weight[group], hessian[group], step[group], 4) for group in range(3)]
    assert (gptq(weight, hessian, step, 4) == np.stack(apart)).all()


@pytest.mark.parametrize("bits", range(2, 9))
@pytest.mark.parametrize("seed", range(12))
def test_keeps_what_a_layer_computes_better_than_the_nearest(seed: int, bits: int) -> None:
    random = np.random.default_rng(100 * seed + bits)
    inputs = int(random.integers(8, 60))
    weight, hessian = random.normal(size=(6, inputs)), correlated(random, inputs, 4 * inputs)
    step = channel_steps(weight, bits)

    def lost(integers: np.ndarray) -> float:
        error = weight - integers * step
        return float(np.trace(error @ hessian @ error.T))

    found = gptq(weight, hessian, step, bits)
    assert np.abs(found).max() <= largest_weight(bits)
    assert lost(found) < 0.8 * lost(integers_of(weight / step, bits))


def test_inputs_that_say_nothing_are_rounded_to_the_nearest() -> None:
    random = np.random.default_rng(5)
    weight, hessian = random.normal(size=(3, 10)), correlated(random, 10, 60)
    silent = [2, 7]
    hessian[silent], hessian[:, silent] = 0, 0
    found = gptq(weight, hessian, 0.3, 4)
    nearest = integers_of(weight / 0.3, 4)
    assert (found[:, silent] == nearest[:, silent]).all()
    assert (found != nearest).any()
    others = [j for j in range(10) if j not in silent]
    alone = gptq(weight[:, others], hessian[np.ix_(others, others)], 0.3, 4, damping=DAMPING * 8 / 10)
    assert (found[:, others] == alone).all()
    assert (gptq(weight, 0 * hessian, 0.3, 4) == nearest).all()


def test_inputs_without_correlation_leave_nothing_to_gain() -> None:
    random = np.random.default_rng(6)
    weight = random.normal(size=(3, 10))
    found = gptq(weight, np.diag(random.uniform(1, 9, 10)), 0.3, 4)
    assert (found == integers_of(weight / 0.3, 4)).all()
    assert found.dtype == np.int8
    assert (gptq(weight, np.eye(10), 0.3, 1) == np.sign(weight)).all()


def test_the_unit_of_inputs_does_not_matter() -> None:
    """Weights w·s on inputs x/s are the same layer."""
    random = np.random.default_rng(7)
    weight, hessian = random.normal(size=(3, 12)), correlated(random, 12, 60)
    assert (gptq(weight, 1e6 * hessian, 0.3, 4) == gptq(weight, hessian, 0.3, 4)).all()
