"""Nodes that work on windows, in floating point: the codes of Hwang and Kung and the mixing of Hao et al. as loops."""

from __future__ import annotations

from typing import Any

import nir
import numpy as np
import pytest

from nirbridge.ir import PhaseDecode, PhaseEncode, PhaseIF, Quantize, TemporalMix
from tests.reference.judging import BOTH, agree, close, judges, numbers, run, same

BATCH = 2
RNG = np.random.default_rng(29)


@pytest.mark.parametrize("base", [2.0, 1.3, 1.7])
@judges(PhaseEncode)
def test_phase_encode(base: float, precision: str) -> None:
    """Each input step becomes a window; from phase 1 on a spike where the rest reaches base^-k, which it then loses."""
    phases, scale = 7, [1.0, 0.7, 3.3]
    x = RNG.uniform(-0.5, 1.4, (4, BATCH, 3)) * scale
    x[0, 0] = [0.5, 0.7, 1.65]  # 1/2, 1 and 1/2 of the scale: just on a step for base 2
    expected = np.zeros((4 * phases, BATCH, 3))
    for t, b, n in np.ndindex(x.shape):
        rest = x[t, b, n].item() / scale[n]
        for k in range(1, phases + 1):
            if rest >= base**-k:
                rest -= base**-k
                expected[t * phases + k - 1, b, n] = 1.0
    if base == 2:
        assert expected[:phases, 0].sum(axis=0).tolist() == [1, phases, 1]
    same(run(PhaseEncode((3,), phases, base, np.array(scale)), x=x, precision=precision).output, expected)


@pytest.mark.parametrize("start", [0.0, [0.3, -1.7, 0.0]])
@pytest.mark.parametrize("base", [2.0, 1.3])
@judges(PhaseDecode)
def test_phase_decode(base: float, start: Any, precision: str) -> None:
    """y(t) = v_init + Σ_{k<=t} base^-k x(k), in each window anew."""
    phases = 5
    x = numbers(precision, 3 * phases, BATCH, 3, seed=10)
    first = np.broadcast_to(start, (3,)).tolist()
    expected = np.zeros(x.shape)
    for t, b, n in np.ndindex(x.shape):
        begin = t // phases * phases
        expected[t, b, n] = first[n] + sum(base ** -(j - begin + 1) * x[j, b, n].item() for j in range(begin, t + 1))
    found = run(PhaseDecode((3,), phases, base, np.array(start)), x=x, precision=precision, record=("n0:v",))
    close(found.output, expected)
    same(found.records["n0:v"], found.output)


def phase_neuron(
    x: list[float],
    phases: int,
    wait: int,
    base_in: float,
    base_out: float,
    theta: float,
    start: float,
    first: int,
    rounding: bool,
) -> tuple[list[float], list[float], bool]:
    """v(t) = v_init + Σ_{j<=t} Q_in^-(j+f-1) x(j), without input after the last phase.

    k fires iff none before it did and v(wait + k) >= θ m Q_out^-(k+f-1).  Also whether a sum just meets its limit.
    """
    sums = [start]
    for t in range(1, phases + 1):
        sums.append(sums[-1] + base_in ** -(t + first - 1) * x[t - 1])
    middle = (1 + 1 / base_out) / 2 if rounding else 1.0
    spikes, met = [0.0] * phases, False
    for k in range(1, phases + 1):
        limit = theta * middle * base_out ** -(k + first - 1)
        seen = sums[min(wait + k, phases)]
        met = met or seen == limit
        if seen >= limit:
            spikes[k - 1] = 1.0
            break
    return spikes, sums[1:], met


@pytest.mark.parametrize("rounding", [True, False])
@pytest.mark.parametrize("first", [0, 1, 2])
@pytest.mark.parametrize("wait", [0, 2, 6])
@pytest.mark.parametrize(("base_in", "base_out"), [(2.0, 2.0), (1.3, 1.3), (2.0, 1.3), (1.4, 2.0)])
@judges(PhaseIF)
def test_phase_neuron(base_in: float, base_out: float, wait: int, first: int, rounding: bool, precision: str) -> None:
    """With base 2 all is dyadic: sums meet their limits exactly, and fire there."""
    phases, dyadic, windows = 6, base_in == base_out == 2.0, 40
    theta = [1.0, 2.0, 0.75, 4.0] if dyadic else [1.1, 2.3, 0.7, 3.9]
    start = [0.0, 0.25, -0.5, 0.5] if dyadic else [0.0, 0.13, -0.3, 0.7]
    x = RNG.integers(-8, 16, (windows * phases, 3, 4)) / 4 if dyadic else RNG.normal(0.4, 1.3, (windows * phases, 3, 4))
    x *= RNG.random(x.shape) < 0.5
    x[:phases, 0] = 0  # the bias alone
    node = PhaseIF((4,), phases, wait, base_in, base_out, np.array(theta), np.array(start), first, rounding)
    expected, membranes, exactly = np.zeros(x.shape), np.zeros(x.shape), False
    for window, b, n in np.ndindex(windows, 3, 4):
        span = slice(phases * window, phases * (window + 1))
        spikes, sums, met = phase_neuron(
            x[span, b, n].tolist(), phases, wait, base_in, base_out, theta[n], start[n], first, rounding
        )
        expected[span, b, n], membranes[span, b, n], exactly = spikes, sums, exactly or met
    found = run(node, x=x, precision=precision, record=("n0:v",))
    same(found.output, expected)
    close(found.records["n0:v"], membranes)
    assert exactly or not dyadic
    assert len(set(np.nonzero(expected)[0] % phases)) >= 3
    assert not expected.reshape(5, phases, -1).any(axis=1).all()


@pytest.mark.parametrize("shape", [(3,), (2, 2)])
@pytest.mark.parametrize(("entering", "leaving"), [(4, 4), (2, 3), (3, 1), (1, 2)])
@judges(TemporalMix, precisions=BOTH)
def test_temporal_mix(entering: int, leaving: int, shape: tuple[int, ...], precision: str) -> None:
    """y[t] = Σ_j weight[t, j] x[j]: a window of T_in steps becomes one of T_out."""
    weight, x = numbers(precision, leaving, entering, seed=12), numbers(precision, 3 * entering, BATCH, *shape, seed=13)
    expected = np.zeros((3 * leaving, BATCH, *shape))
    for window, t, b, *at in np.ndindex(3, leaving, BATCH, *shape):
        total = 0
        for j in range(entering):
            total += weight[t, j].item() * x[(window * entering + j, b, *at)].item()
        expected[(window * leaving + t, b, *at)] = total
    agree(precision, run(TemporalMix(weight), x=x, precision=precision).output, expected)


@pytest.mark.parametrize("given", [(0.7, -4, 5), ([0.25, 0.5, 1.3, 8.0], [-3, -1, 0, 2], [3, 1, 9, 2])])
@pytest.mark.filterwarnings("ignore:node 'n0'")  # it says that these data are cut
@judges(Quantize, precisions=BOTH)
def test_quantize(given: Any, precision: str) -> None:
    """clip(round half to even(x / step), low, high)."""
    step, low, high = (np.broadcast_to(value, (4,)).tolist() for value in given)
    halves = np.arange(-9, 10)[:, None] / 2 * np.array(step)  # -4.5, -4, .., 4.5 steps
    x = np.concatenate([halves, RNG.uniform(-9, 9, (20, 4))])[:, None]
    expected = np.zeros(x.shape)
    for t, b, n in np.ndindex(x.shape):
        expected[t, b, n] = min(max(round(x[t, b, n].item() / step[n]), low[n]), high[n])
    node = Quantize((4,), *(np.array(value) for value in given))
    same(run(node, x=x, precision=precision).output, expected)  # on the host
    if precision == "float":
        same(run(nir.Scale(np.ones(4)), node, x=x, precision=precision).output, expected)  # in the graph
