"""The Triton kernels: the bits of the passes for the CPU, as far as that can be seen without a card."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

import nirbridge
from nirbridge.primitives import where
from nirbridge_norse.fused import elsewhere, generating, passes, triton_passes
from nirbridge_norse.fused.layout import Order
from nirbridge_norse.neurons import fused_snn
from nirbridge_norse.neurons.lanes import LaneParameters, MembraneState, lane_table
from tests.norse.norse_graphs import DT, SHAPE, chain, core_neurons, lanes_of, multilevel, outputs, uniform
from tests.triton_interpreter import Launched, interpreted, ptx

pytest.importorskip("triton")
pytest.importorskip("numba")
DTYPES = [torch.float32, torch.float64]
BATCH = 2


@pytest.fixture
def numpy_runs_kernels() -> Iterator[None]:
    """Blocks of 64 neurons, of which the data fill the last one in part."""
    names = ("nirbridge_norse.fused.triton_lanes", "nirbridge_norse.fused.triton_steps")
    with interpreted(*names), pytest.MonkeyPatch.context() as patch:
        patch.setattr(triton_passes, "BLOCK", 64)
        yield


def random(seed: int, shape: tuple[int, ...], dtype: torch.dtype, low: float = 0.1, high: float = 1.5) -> torch.Tensor:
    return torch.tensor(uniform(seed, shape, low, high), dtype=dtype)


def assert_same(numba, triton, states: tuple[str, ...], steps: int, dtype: torch.dtype) -> None:
    """Both passes on the same data and states."""
    data = random(1, (steps, BATCH, *SHAPE), dtype, -1, 3)
    state = namedtuple("State", states)(*(random(2 + k, data.shape[1:], dtype, -0.5, 0.5) for k in range(len(states))))
    y, after = triton(data, state)
    expected = torch.empty_like(data)
    numba(state, Order(SHAPE), BATCH)(*(values.numpy().reshape(steps, -1) for values in (data, expected)))()
    assert y.unique().numel() > 1
    for one, other in zip((expected, *state), (y, *after), strict=True):
        assert torch.equal(one, other)


def test_the_kernels_are_those_of_the_primitives() -> None:
    written = Path(generating.__file__).with_name("triton_steps.py").read_text()
    assert written == generating.triton_module_source()


@pytest.mark.usefixtures("numpy_runs_kernels")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("steps", [1, 5])
@pytest.mark.parametrize("name", generating.all_steps())
def test_every_step_has_the_bits_of_the_cpu(name, steps, dtype):
    from nirbridge_norse.fused import steps as numba_steps
    from nirbridge_norse.fused import triton_steps

    step, state = generating.all_steps()[name]
    count = step.__code__.co_argcount - 1 - len(state)
    shapes = [(), (3, 1, 1), SHAPE]
    p = tuple(random(10 + k, shapes[k % 3], dtype) for k in range(count))
    numba = partial(passes._step_pass, getattr(numba_steps, name), p)
    assert_same(numba, triton_passes._on_card(getattr(triton_steps, name), p, ()), state, steps, dtype)


@pytest.mark.usefixtures("numpy_runs_kernels")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("boundary", [">", ">="])
@pytest.mark.parametrize("reset", ["subtract", "value"])
@pytest.mark.parametrize(("lanes", "shape"), [(1, ()), (3, (3, 1, 1)), (9, SHAPE), (31, ())])
def test_lanes_have_the_bits_of_the_cpu(lanes, shape, reset, boundary, dtype):
    tables = (torch.tensor(lanes_of(seed, lanes, shape), dtype=dtype) for seed in (4, 5, 6))
    fields = (random(k, SHAPE, dtype) for k in range(4))
    p = LaneParameters(*fields, lane_table(*tables), reset == "subtract", boundary == ">=")
    assert_same(partial(passes.lane_pass, p), triton_passes.lanes_on_card(p), ("v",), 5, dtype)


@pytest.mark.usefixtures("numpy_runs_kernels")
def test_membranes_at_a_threshold():
    one, zero = torch.tensor(1.0), torch.tensor(0.0)
    table = lane_table(*(torch.tensor([0.5, 1.0, 2.0]),) * 3)
    for boundary, expected in ((">", [0, 0, 0.5, 1, 2]), (">=", [0, 0.5, 1, 2, 2])):
        data = torch.tensor([[0.25, 0.5, 1.0, 2.0, 4.0]])
        p = LaneParameters(one, one, zero, zero, table, True, boundary == ">=")
        y, _ = triton_passes.lanes_on_card(p)(data, MembraneState(torch.zeros(5)))
        assert y.tolist() == [expected]


def arithmetic(x, v, k):
    s = (x > k) & ~(v >= 0.25)
    u = -v / 3 + s * k
    return s, where(s | (u < 0), u - 0.1, x)


@pytest.mark.usefixtures("numpy_runs_kernels")
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_step_of_another_package(dtype, tmp_path, monkeypatch):
    """Constants, quotients, negation, and comparisons that count as numbers."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    elsewhere.foreign_pass.cache_clear()
    p = (random(7, SHAPE, dtype),)
    numba, triton = (elsewhere.foreign_pass(arithmetic, ("v",), triton) for triton in (False, True))
    assert_same(partial(passes._step_pass, numba, p), triton_passes._on_card(triton, p, ()), ("v",), 5, dtype)


@pytest.mark.usefixtures("numpy_runs_kernels")
def test_programs_run_them(monkeypatch):
    """As on a card: the passes are chosen by the device."""
    graph = chain(SHAPE, core_neurons()["CubaLIF"], multilevel(3, (3, 1, 1), "subtract", ">"))
    x = uniform(2, (6, BATCH, *SHAPE), -1, 3)
    found = []
    for on_card in (False, True):
        monkeypatch.setattr(triton_passes, "runs_kernels", lambda device, on_card=on_card: on_card)
        monkeypatch.setattr(fused_snn, "numba_is_there", lambda on_card=on_card: not on_card)
        with nirbridge.compile(graph, "norse", dt=DT) as program:
            found.append(np.concatenate([program.run(x[:5]).output, program.step(x[5])[None]]))
    assert np.unique(found[0]).size > 1
    np.testing.assert_array_equal(*found)


def test_launches_forbid_fused_products_and_sums():
    kernel = Launched()
    triton_passes._on_card(kernel, (torch.ones(3),), ())(torch.zeros(2, 3), MembraneState(torch.zeros(3)))
    assert kernel["enable_fp_fusion"] is False


@pytest.mark.parametrize("real", ["fp32", "fp64"])
def test_compiled_kernels_round_after_every_operation(real):
    """For a card that is not there: products and sums stay apart, and quotients are exact."""
    from nirbridge_norse.fused import triton_lanes, triton_steps

    how = {"LEVELS": 3, "ROUNDS": 2, "SUBTRACT": True, "AT_LEAST": False, "BLOCK": 512}
    written = [ptx(triton_steps.run_lif, real, BLOCK=512), ptx(triton_lanes.run_lanes, real, ("group_at",), **how)]
    for text in written:
        assert f"mul.rn.f{real[2:]}" in text
        assert "fma" not in text


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device here")
@pytest.mark.parametrize("boundary", [">", ">="])
@pytest.mark.parametrize("reset", ["subtract", "value"])
@pytest.mark.parametrize(("lanes", "shape"), [(1, ()), (3, (3, 1, 1)), (31, SHAPE)])
def test_lanes_on_cuda(lanes, shape, reset, boundary):
    graph, x = chain(SHAPE, multilevel(lanes, shape, reset, boundary)), uniform(40, (25, 2, *SHAPE), -1.0, 3.0)
    for dtype in ("float32", "float64"):
        np.testing.assert_array_equal(outputs(graph, x, device="cuda", dtype=dtype), outputs(graph, x, dtype=dtype))
