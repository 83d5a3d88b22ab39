"""The neurons as a user of Norse meets them, and the arithmetic around them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nirbridge_norse import functional, modules
from nirbridge_norse.lowering import LOWERING, multilevel_parameters
from nirbridge_norse.modules import fused_snn
from nirbridge_norse.norse_base import SNN, SNNCell
from nirbridge_norse.setting import exact_arithmetic, make_setting
from tests.norse.norse_graphs import chain, core_neurons, dyadic, multilevel, outputs, uniform

SETTING = make_setting(1e-3, dtype="float64")
F = 7
X = torch.tensor(uniform(1, (11, 2, F), -1, 3))


def p(seed, low=0.1, high=2.0):
    return torch.tensor(uniform(seed, (F,), low, high))


FIRING = {"v_threshold": p(4, 0.3, 0.8), "v_reset": p(5, -0.5, 0.1)}
LEAK = {"dt_over_tau": p(1, 0.05, 0.5), "v_leak": p(2, -0.3, 0.3), "r": p(3, 1, 5)}
CURRENT = {"dt_over_tau_syn": p(6, 0.1, 0.9), "w_in": p(7), "dt_over_tau_mem": p(1, 0.05, 0.5)}
CURRENT |= {"v_leak": p(2, -0.3, 0.3), "r": p(3, 1, 5)}
LANES = functional.lane_table(*(torch.tensor(np.arange(1.0, 4.0)) / 2 for _ in range(3)))
LIF_PARAMETERS = functional.LIFParameters(**LEAK, **FIRING)
PAIRS = {
    "I": (modules.NIRI, modules.NIRICell, functional.IParameters(p(3))),
    "IF": (modules.NIRIF, modules.NIRIFCell, functional.IFParameters(p(3), **FIRING)),
    "LI": (modules.NIRLI, modules.NIRLICell, functional.LIParameters(**LEAK)),
    "LIF": (modules.NIRLIF, modules.NIRLIFCell, LIF_PARAMETERS),
    "CubaLI": (modules.NIRCubaLI, modules.NIRCubaLICell, functional.CubaLIParameters(**CURRENT)),
    "CubaLIF": (modules.NIRCubaLIF, modules.NIRCubaLIFCell, functional.CubaLIFParameters(**CURRENT, **FIRING)),
    "MultiLevelLIF": (
        modules.MultiLevelLIF,
        modules.MultiLevelLIFCell,
        functional.MultiLevelLIFParameters(p(8, 0.5, 1), p(3), p(9, -1, 1), p(5, -1, 0), LANES),
    ),
}


@pytest.mark.parametrize("name", PAIRS)
def test_cell_by_cell_equals_over_time(name):
    whole, cell, parameters = PAIRS[name]
    over_time, one_step = whole(parameters), cell(parameters)
    assert isinstance(over_time, SNN)
    assert isinstance(one_step, SNNCell)
    before = X.clone()
    expected, last = over_time(X)
    torch.testing.assert_close(X, before, rtol=0, atol=0)
    assert expected.unique().numel() > 1
    state, frames = None, []
    for frame in X:
        y, state = one_step(frame, state)
        frames.append(y)
    torch.testing.assert_close(torch.stack(frames), expected, rtol=0, atol=0)
    for found, wanted in zip(state, last, strict=True):
        torch.testing.assert_close(found, wanted, rtol=0, atol=0)


@pytest.mark.parametrize("name", PAIRS)
def test_a_given_state_is_continued_and_kept(name):
    whole, _, parameters = PAIRS[name]
    module = whole(parameters)
    expected, _ = module(X)
    first, state = module(X[:4])
    kept = [t.clone() for t in state]
    second, _ = module(X[4:], state)
    torch.testing.assert_close(torch.cat([first, second]), expected, rtol=0, atol=0)
    for found, before in zip(state, kept, strict=True):
        torch.testing.assert_close(found, before, rtol=0, atol=0)


def test_input_without_a_batch_axis():
    module = modules.NIRLIF(LIF_PARAMETERS)
    expected, _ = module(X)
    found, state = module(X[:, 1])
    torch.testing.assert_close(found, expected[:, 1], rtol=0, atol=0)
    assert state.v.shape == (F,)


def test_lif_step_by_hand():
    """dt/tau = 1/2, R = 4, v_leak = 1, threshold 1.5, reset -1, v = 0.5: 0.5 + (1 - 0.5 + 4x)/2."""
    numbers = functional.LIFParameters(*(torch.tensor(v) for v in (0.5, 1.0, 4.0, 1.5, -1.0)))
    state = functional.MembraneState(torch.tensor([0.5, 0.5, 0.5]))
    spikes, after = functional.lif_step(torch.tensor([0.0, 0.375, 0.5]), state, numbers)
    assert spikes.tolist() == [0.0, 0.0, 1.0]
    assert after.v.tolist() == [0.75, 1.5, -1.0]


def test_cuba_lif_step_runs_the_synapse_first():
    """i = 0 + 1/2 (2·1 - 0) = 1, then v = 0 + 1/4 (0 - 0 + 8·1) = 2 > 1: a spike, v = 0.25."""
    numbers = functional.CubaLIFParameters(*(torch.tensor(v) for v in (0.5, 2.0, 0.25, 0.0, 8.0, 1.0, 0.25)))
    zero = torch.zeros(1)
    spikes, after = functional.cuba_lif_step(torch.ones(1), functional.CurrentState(zero, zero), numbers)
    assert (spikes.item(), after.i.item(), after.v.item()) == (1.0, 1.0, 0.25)


def test_gradients_take_norses_own_loop():
    module = modules.NIRLI(functional.LIParameters(**LEAK))
    x = X.clone().requires_grad_()
    y, _ = module(x)
    y.sum().backward()
    torch.testing.assert_close(y.detach(), module(X)[0], rtol=0, atol=0)
    # The last input reaches the output once, through dt/tau R.
    torch.testing.assert_close(x.grad[-1], (LEAK["dt_over_tau"] * LEAK["r"]).expand(2, F))


def test_without_numba_the_program_gives_the_same(monkeypatch):
    graph = chain((3, 4, 5), multilevel(3, (3, 1, 1), "subtract", ">"), core_neurons()["CubaLIF"])
    x = uniform(2, (9, 2, 3, 4, 5), -1, 3)
    expected = outputs(graph, x)
    monkeypatch.setattr(fused_snn, "numba_is_there", lambda: False)

    def fail(*args):
        raise AssertionError("a compiled pass ran")

    monkeypatch.setattr(fused_snn.FusedSNN, "run_in_place", fail)
    np.testing.assert_array_equal(outputs(graph, x), expected)


def test_parameters_of_a_node_keep_their_shape():
    parameters = multilevel_parameters(multilevel(4, (3, 1, 1), "value", ">="), SETTING)
    assert parameters.lanes.threshold.shape == (4, 3)
    assert parameters.lanes.weight[0].tolist() == [0.0, 0.0, 0.0]
    assert (parameters.reset, parameters.boundary) == ("value", ">=")


def test_the_table_hands_out_modules_in_norses_style():
    from nirbridge.runtime import make_plan

    plan = make_plan(chain((3, 4, 5), core_neurons()["LIF"]))
    stage = LOWERING[type(plan["n0"].node)](plan["n0"], SETTING)
    assert isinstance(stage.module, modules.NIRLIF)
    assert stage.module.p.v_threshold.dtype == torch.float64


def test_reduced_precision_of_the_process_is_left_alone_and_not_used():
    import nir

    graph = chain((64, 6, 6), nir.Conv2d(None, uniform(1, (64, 64, 3, 3)), 1, 1, 1, 1, uniform(2, (64,))))
    x = uniform(3, (20, 2, 64, 6, 6))
    expected = outputs(graph, x)
    torch.set_float32_matmul_precision("medium")
    try:
        np.testing.assert_array_equal(outputs(graph, x), expected)
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision("highest")


def test_exact_arithmetic_restores_what_it_changes():
    places = torch.backends.mkldnn.matmul, torch.backends.mkldnn.conv
    before = [place.fp32_precision for place in places]
    try:
        for place in places:
            place.fp32_precision = "bf16"
        with exact_arithmetic():
            assert [place.fp32_precision for place in places] == ["ieee", "ieee"]
            assert not torch._C._get_nnpack_enabled()
            assert torch.is_inference_mode_enabled()
        assert [place.fp32_precision for place in places] == ["bf16", "bf16"]
        assert torch._C._get_nnpack_enabled()
        assert not torch.is_inference_mode_enabled()
    finally:
        for place, value in zip(places, before, strict=True):
            place.fp32_precision = value


def test_dyadic_input_of_every_scale():
    """Denormal and huge currents pass both ways alike."""
    x = np.exp2(dyadic(1, (12, 1, F), 60, 2.0)) * np.sign(dyadic(2, (12, 1, F)))
    module = modules.NIRLIF(LIF_PARAMETERS)
    fused, _ = module(torch.tensor(x))
    looped, _ = super(fused_snn.FusedSNN, module).forward(torch.tensor(x), module.state_fallback(torch.tensor(x[0])))
    torch.testing.assert_close(fused, looped, rtol=0, atol=0)
