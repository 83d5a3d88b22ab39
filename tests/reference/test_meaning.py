"""The reference against the equations, written here a second time as plain loops, and against recorded data."""

from __future__ import annotations

import csv
from pathlib import Path

import nir
import numpy as np
import pytest

import nirbridge
from nirbridge.ir import (
    Aggregate,
    MaxPool2d,
    MultiLevelLIF,
    PhaseDecode,
    PhaseEncode,
    PhaseIF,
    SparseMatrix,
    TemporalMix,
)
from tests.ir.graphs import chain

RNG = np.random.default_rng(7)


def run(*nodes: nir.NIRNode, x: np.ndarray, dt: float | None = None) -> np.ndarray:
    graph = chain(*nodes, shape=x.shape[2:], out=(1,))
    graph.nodes["output"] = nir.Output(None)
    with nirbridge.compile(graph, dt=dt) as program:
        return program.run(x).output


@pytest.mark.parametrize("lanes", [1, 2, 3, 5])
@pytest.mark.parametrize("reset", ["subtract", "value"])
@pytest.mark.parametrize("boundary", [">", ">="])
@pytest.mark.parametrize("scaled", [False, True])
def test_one_hot_follows_its_windows(lanes: int, reset: str, boundary: str, scaled: bool) -> None:
    theta, decay = 0.5, 0.75
    x = RNG.integers(-8, 24, (20, 2, 6)) / 8
    node = MultiLevelLIF.one_hot((6,), lanes, theta, decay, reset, boundary, scaled, v_reset=0.125)
    weights = [2.0 ** (s - (lanes - 1 if scaled else 0)) for s in range(lanes)]
    v = np.zeros((2, 6))
    expected = np.zeros_like(x)
    for t, index in ((t, i) for t in range(20) for i in np.ndindex(2, 6)):
        u = decay * v[index] + x[(t, *index)]
        over = [w for w in weights if (u > w * theta if boundary == ">" else u >= w * theta)]
        if over:
            expected[(t, *index)] = over[-1]
            u = u - over[-1] * theta if reset == "subtract" else 0.125
        v[index] = u
    assert (run(node, x=x) == expected).all()


def test_boundaries_differ_just_on_the_threshold() -> None:
    u = np.array([[[1.0, 2.0, 4.0, 8.0]]])
    soft = MultiLevelLIF.one_hot((4,), 3, boundary=">")
    hard = MultiLevelLIF.one_hot((4,), 3, boundary=">=")
    assert run(soft, x=u).ravel().tolist() == [0, 1, 2, 4]
    assert run(hard, x=u).ravel().tolist() == [1, 2, 4, 4]


@pytest.mark.parametrize(("levels", "steps"), [(2, 4), (1, 4), (8, 1), (3, 5)])
def test_multi_level_if_equals_binary_if_over_more_steps(levels: int, steps: int) -> None:
    """Castagnetti et al.: N levels over T steps are N·T + 1 values, those of a binary IF over N·T steps."""
    x = np.linspace(-0.25, 1.5, 113)[None, None]
    q = 1.0 / levels
    multi = run(MultiLevelLIF.uniform((113,), levels, q), x=np.repeat(x, steps, 0)).sum(0) / (levels * steps)
    binary = run(MultiLevelLIF.uniform((113,), 1, 1.0), x=np.repeat(x, levels * steps, 0)).sum(0) / (levels * steps)
    assert (multi == binary).mean() > 0.95  # x itself is not dyadic: u meets a threshold but for rounding
    assert np.abs(multi - binary).max() <= 1 / (levels * steps) + 1e-12
    assert len(np.unique(np.round(multi, 9))) <= levels * steps + 1


def test_uniform_equals_qcfs_in_the_mean() -> None:
    """Hao et al.: mean of T steps from v = θ/2 is λ clip(floor(x Q/λ + 1/2)/Q, 0, 1) with Q = L T."""
    scale, levels, steps = 2.0, 4, 4
    x = RNG.integers(-64, 192, (1, 1, 200)) / 64
    theta = scale / levels
    node = MultiLevelLIF.uniform((200,), levels, theta, v_init=theta / 2, output="value")
    mean = run(TemporalMix(np.full((steps, steps), 1 / steps)), node, x=np.repeat(x, steps, 0)).mean(0)
    quantum = levels * steps
    assert (mean == scale * np.clip(np.floor(x[0] * quantum / scale + 0.5) / quantum, 0, 1)).all()


def _one_spike_value(a: float, base: float, phases: int) -> float:
    """Hwang and Kung, equation 4: the largest base^-k whose middle with the next one a reaches."""
    middles = [base**-k * (1 + 1 / base) / 2 for k in range(1, phases + 1)]
    return next((base**-k for k, middle in enumerate(middles, 1) if a >= middle), 0.0)


def test_one_spike_with_a_whole_wait_is_the_encoded_relu() -> None:
    phases, base = 16, 2.0
    a = RNG.integers(-(2**12), 2**12, 300) / 2**12
    x = np.abs(a)[None, None]
    sign = np.diag(np.sign(a))
    node = PhaseIF((300,), phases, phases, 2.0, base, 1.0, 0.0)
    out = run(PhaseEncode((300,), phases), nir.Linear(sign), node, PhaseDecode((300,), phases, base), x=x)[-1, 0]
    expected = [_one_spike_value(max(value, 0.0), base, phases) for value in a]
    assert out.tolist() == expected


def test_naive_and_rounded_codes_of_the_text() -> None:
    """Q = 2, T = 4, a in sixteenths: naive 12, 11 → 8 and 7, 6 → 4; with rounding all four → 8."""
    x = np.array([[[12, 11, 7, 6]]]) / 16
    for rounding, expected in ((False, [8, 8, 4, 4]), (True, [8, 8, 8, 8])):
        node = PhaseIF((4,), 4, 4, 2.0, 2.0, 1.0, 0.0, 1, rounding)
        out = run(PhaseEncode((4,), 4), node, PhaseDecode((4,), 4), x=x)[-1, 0]
        assert (out * 16).tolist() == expected


def test_a_short_wait_lets_spikes_through_late() -> None:
    """Only the inputs up to the wait are seen when the first phase decides."""
    x = np.array([[[0.0]], [[1.0]], [[0.0]], [[0.0]]])  # 2^-2 in phase 2
    assert run(PhaseIF((1,), 4, 4, 2.0, 2.0, 1.0, 0.0), x=x).ravel().tolist() == [0, 1, 0, 0]
    assert run(PhaseIF((1,), 4, 0, 2.0, 2.0, 1.0, 0.0), x=x).ravel().tolist() == [0, 1, 0, 0]
    early = np.array([[[0.0]], [[0.0]], [[0.0]], [[1.0]]]) + np.array([[[0.0]], [[1.0]], [[1.0]], [[0.0]]])
    assert run(PhaseIF((1,), 4, 4, 2.0, 2.0, 1.0, 0.0), x=early).ravel().tolist() == [1, 0, 0, 0]
    assert run(PhaseIF((1,), 4, 0, 2.0, 2.0, 1.0, 0.0), x=early).ravel().tolist() == [0, 1, 0, 0]


def test_windows_do_not_touch() -> None:
    node = PhaseIF((1,), 2, 2, 2.0, 2.0, 1.0, 0.25)
    x = np.array([1.0, 0, 0, 0, 0, 1.0]).reshape(6, 1, 1)
    whole = run(node, x=x)
    assert (whole == np.concatenate([run(node, x=x[i : i + 2]) for i in (0, 2, 4)])).all()


def test_max_pool_behind_phase_code_takes_the_first_spike() -> None:
    values = np.array([[0.5, 0.25], [0.125, 0.0]])
    encode = PhaseEncode((1, 2, 2), 4)
    fire = PhaseIF((1, 2, 2), 4, 4, 2.0, 2.0, 1.0, 0.0)
    out = run(encode, fire, MaxPool2d(2, 2, 0), PhaseDecode((1, 1, 1), 4), x=values[None, None, None])
    assert out[-1].item() == 0.5
    assert run(encode, fire, MaxPool2d(2, 2, 0), x=values[None, None, None]).sum() == 1


def test_delay_is_per_neuron() -> None:
    x = np.arange(1.0, 7).reshape(6, 1, 1) * np.ones(3)
    out = run(nir.Delay(np.array([0, 2e-3, 3e-3])), x=x)
    assert out[:, 0].T.tolist() == [[1, 2, 3, 4, 5, 6], [0, 0, 1, 2, 3, 4], [0, 0, 0, 1, 2, 3]]


def test_closing_edges_bring_the_step_before() -> None:
    nodes = {
        "input": nir.Input(np.array([1])),
        "sum": nir.Scale(np.ones(1)),
        "half": nir.Scale(np.full(1, 0.5)),
        "output": nir.Output(np.array([1])),
    }
    edges = [("input", "sum"), ("sum", "half"), ("half", "sum"), ("sum", "output")]
    graph = nir.NIRGraph(nodes, edges, type_check=False)
    x = np.array([8.0, 0, 0, 4]).reshape(4, 1, 1)
    with nirbridge.compile(graph) as program:
        result = program.run(x, record=["half"])
        assert result.output.ravel().tolist() == [8, 4, 2, 5]
        assert result.records["half"].ravel().tolist() == [4, 2, 1, 2.5]
        program.reset()
        assert [program.step(frame).item() for frame in x] == [8, 4, 2, 5]


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
def test_convolutions_agree_with_torch() -> None:
    torch = pytest.importorskip("torch")
    x = RNG.integers(-4, 5, (3, 2, 4, 9, 8)).astype(float)
    weight = RNG.integers(-4, 5, (6, 2, 3, 2)) / 8
    bias = RNG.integers(-4, 5, 6) / 8
    for stride, padding, dilation in (((2, 1), (1, 2), (1, 2)), (1, "valid", 2), ((1, 1), "same", (2, 1))):
        ours = run(nir.Conv2d(None, weight, stride, padding, dilation, 2, bias), x=x)
        folded = torch.from_numpy(x.reshape(6, 4, 9, 8))
        theirs = torch.nn.functional.conv2d(
            folded, torch.from_numpy(weight), torch.from_numpy(bias), stride, padding, dilation, 2
        )
        assert (ours.reshape(theirs.shape) == theirs.numpy()).all()


def test_one_dimensional_convolution_agrees_with_torch() -> None:
    torch = pytest.importorskip("torch")
    x = RNG.integers(-4, 5, (3, 2, 4, 9)).astype(float)
    weight = RNG.integers(-4, 5, (6, 2, 3)) / 8
    ours = run(nir.Conv1d(None, weight, 2, 1, 2, 2, np.zeros(6)), x=x)
    theirs = torch.nn.functional.conv1d(
        torch.from_numpy(x.reshape(6, 4, 9)), torch.from_numpy(weight), None, 2, 1, 2, 2
    )
    assert (ours.reshape(theirs.shape) == theirs.numpy()).all()


def test_pools_agree_with_torch() -> None:
    functional = pytest.importorskip("torch").nn.functional
    import torch

    x = RNG.integers(-8, 9, (2, 1, 3, 7, 8)).astype(float)
    kernel, stride, padding = (np.array(v) for v in ((3, 2), (2, 1), (1, 0)))
    arguments = [tuple(int(n) for n in v) for v in (kernel, stride, padding)]
    folded = torch.from_numpy(x[:, 0])
    average = functional.avg_pool2d(folded, *arguments).numpy()
    assert np.allclose(run(nir.AvgPool2d(kernel, stride, padding), x=x)[:, 0], average, rtol=0, atol=1e-12)
    assert np.allclose(run(nir.SumPool2d(kernel, stride, padding), x=x)[:, 0], average * 6, rtol=0, atol=1e-12)
    assert (
        run(MaxPool2d(kernel, stride, padding), x=x)[:, 0] == functional.max_pool2d(folded, *arguments).numpy()
    ).all()


def test_aggregation_mixes_nodes() -> None:
    x = RNG.integers(-8, 9, (2, 3, 4, 5)).astype(float)
    weight = RNG.integers(0, 3, (4, 4)).astype(float)
    row, column = np.nonzero(weight)
    sparse = SparseMatrix((4, 4), row, column, weight[row, column])
    expected = np.einsum("nm,tbmf->tbnf", weight, x)
    assert (run(Aggregate(weight), x=x) == expected).all()
    assert (run(Aggregate(sparse), x=x) == expected).all()


def test_current_based_neuron_runs_its_synapse_first() -> None:
    """The NIR paper's Euler order, on numbers that can be followed by hand: dt/tau = 1/2 everywhere."""
    one = np.ones(1)
    node = nir.CubaLIF(one * 2e-3, one * 2e-3, one * 4, one * 0.0, one * 5.0, one * -1.0, one * 2)
    x = np.array([4.0, 0, 0]).reshape(3, 1, 1)
    # i: 4, 2, 1; v: 0.5*16 = 8 fires → -1; -1 + 0.5*(1 + 8) = 3.5; 3.5 + 0.5*(-3.5 + 4) = 3.75
    assert run(node, x=x, dt=1e-3).ravel().tolist() == [1, 0, 0]
    read = run(nir.CubaLI(one * 2e-3, one * 2e-3, one * 4, one * 0.0, one * 2), x=x, dt=1e-3).ravel().tolist()
    assert read == [8, 8, 6]


@pytest.mark.parametrize("platform", ["norse", "exact", "snntorch", "nengo", "spinnaker2"])
def test_recorded_spike_times_are_forward_euler(shared_data: Path, platform: str) -> None:
    """NIR paper, task 1: columns are input, membrane and spike; a step is 1e-4 s."""
    folder = shared_data / "nir-paper" / "01_lif"
    with (folder / f"lif_{platform}.csv").open() as file:
        table = np.array([[float(cell) for cell in row] for row in csv.reader(file)])
    with nirbridge.compile(nirbridge.read(folder / "lif_norse.nir"), dt=1e-4) as program:
        spikes = program.run(table[:, 0].reshape(-1, 1, 1)).output.ravel()
    assert np.flatnonzero(spikes).tolist() == np.flatnonzero(table[:, 2]).tolist() != []
