"""The neurons as a user of Norse meets them, and the arithmetic around them."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import torch

from nirbridge.primitives import cuba_lif, lif, where
from nirbridge.runtime import make_plan
from nirbridge_norse.fused import elsewhere, generating, steps
from nirbridge_norse.lowering import LOWERING
from nirbridge_norse.neurons import fused_snn
from nirbridge_norse.neurons.lanes import lane_parameters
from nirbridge_norse.norse_base import SNN
from nirbridge_norse.setting import _precisions, exact_arithmetic, make_setting
from tests.norse.norse_graphs import chain, core_neurons, dyadic, multilevel, outputs, uniform

SETTING = make_setting(1e-3, dtype="float64")
SHAPE = (3, 4, 5)
X = torch.tensor(uniform(1, (11, 2, *SHAPE), -1, 3))
NEURONS = {**core_neurons(), "MultiLevelLIF": multilevel(3, (3, 1, 1), "subtract", ">")}


def module_of(node):
    plan = make_plan(chain(SHAPE, node))
    return LOWERING[type(node)](plan["n0"], SETTING).module


@pytest.mark.parametrize("name", NEURONS)
def test_step_by_step_equals_over_time(name):
    module = module_of(NEURONS[name])
    assert isinstance(module, SNN)
    before = X.clone()
    expected, last = module(X)
    torch.testing.assert_close(X, before, rtol=0, atol=0)
    assert expected.unique().numel() > 1
    state, frames = module.state_fallback(X[0]), []
    for frame in X:
        y, state = module.activation(frame, state, module.p, module.dt)
        frames.append(y)
    torch.testing.assert_close(torch.stack(frames), expected, rtol=0, atol=0)
    for found, wanted in zip(state, last, strict=True):
        torch.testing.assert_close(found, wanted, rtol=0, atol=0)


@pytest.mark.parametrize("name", NEURONS)
def test_a_given_state_is_continued_and_kept(name):
    module = module_of(NEURONS[name])
    expected, _ = module(X)
    first, state = module(X[:4])
    kept = [t.clone() for t in state]
    second, _ = module(X[4:], state)
    torch.testing.assert_close(torch.cat([first, second]), expected, rtol=0, atol=0)
    for found, before in zip(state, kept, strict=True):
        torch.testing.assert_close(found, before, rtol=0, atol=0)


def test_input_without_a_batch_axis():
    module = module_of(NEURONS["LIF"])
    expected, _ = module(X)
    found, state = module(X[:, 1])
    torch.testing.assert_close(found, expected[:, 1], rtol=0, atol=0)
    assert state.v.shape == SHAPE


def test_lif_step_by_hand():
    """dt/tau = 1/2, R = 4, v_leak = 1, threshold 1.5, reset -1, v = 0.5: 0.5 + (1 - 0.5 + 4x)/2."""
    numbers = (torch.tensor(v) for v in (0.5, 1.0, 4.0, 1.5, -1.0))
    spikes, v = lif.step(torch.tensor([0.0, 0.375, 0.5]), torch.full((3,), 0.5), *numbers)
    assert spikes.tolist() == [0.0, 0.0, 1.0]
    assert v.tolist() == [0.75, 1.5, -1.0]


def test_cuba_lif_step_runs_the_synapse_first():
    """i = 0 + 1/2 (2·1 - 0) = 1, then v = 0 + 1/4 (0 - 0 + 8·1) = 2 > 1: a spike, v = 0.25."""
    numbers = (torch.tensor(v) for v in (0.5, 2.0, 0.25, 0.0, 8.0, 1.0, 0.25))
    zero = torch.zeros(1)
    spikes, i, v = cuba_lif.step(torch.ones(1), zero, zero, *numbers)
    assert (spikes.item(), i.item(), v.item()) == (1.0, 1.0, 0.25)


def test_gradients_take_norses_own_loop():
    module = module_of(NEURONS["LI"])
    x = X.clone().requires_grad_()
    y, _ = module(x)
    y.sum().backward()
    torch.testing.assert_close(y.detach(), module(X)[0], rtol=0, atol=0)
    # The last input reaches the output once, through dt/tau R.
    torch.testing.assert_close(x.grad[-1], (module.p.dt_over_tau * module.p.r).expand(2, *SHAPE))


def test_without_numba_the_program_gives_the_same(monkeypatch):
    graph = chain((3, 4, 5), multilevel(3, (3, 1, 1), "subtract", ">"), core_neurons()["CubaLIF"])
    x = uniform(2, (9, 2, 3, 4, 5), -1, 3)
    expected = outputs(graph, x)
    monkeypatch.setattr(fused_snn, "numba_is_there", lambda: False)

    def fail(*args):
        raise AssertionError("a compiled pass ran")

    monkeypatch.setattr(fused_snn.FusedSNN, "bind", fail)
    np.testing.assert_array_equal(outputs(graph, x), expected)


def test_parameters_of_a_node_keep_their_shape():
    parameters = lane_parameters(multilevel(4, (3, 1, 1), "value", ">="), SETTING)
    assert parameters.lanes.threshold.shape == (4, 3)
    assert parameters.lanes.weight[0].tolist() == [0.0, 0.0, 0.0]
    assert (parameters.subtract, parameters.at_least) == (False, True)


def test_the_table_hands_out_modules_in_norses_style():
    plan = make_plan(chain((3, 4, 5), core_neurons()["LIF"]))
    stage = LOWERING[type(plan["n0"].node)](plan["n0"], SETTING)
    assert isinstance(stage.module, SNN)
    assert stage.module.p.v_threshold.dtype == torch.float64


def test_the_passes_are_those_of_the_primitives() -> None:
    """numba caches files, so the passes are committed; what is there is what the steps say."""
    written = Path(generating.__file__).with_name("steps.py").read_text()
    assert written == generating.module_source()
    assert set(generating.all_steps()) == {name for name in vars(steps) if name.startswith("run_")}


def _renamed(x, v, row):
    return row, v


def _named_as_an_array_of_the_pass(x, v):
    v_ = v + x
    return v_, v_


def _named_as_a_constant_of_the_pass(x, v):
    constant1 = v + x
    return constant1, 0.5 * constant1


def _with_an_argument_of_the_pass(x, v, n):
    return v, v + x


def _branching(x, v):
    if v > 0:
        v = x
    return v, v


def _foreign(x, v):
    return np.abs(x), v


TAKEN = (
    *(_renamed, _named_as_an_array_of_the_pass, _named_as_a_constant_of_the_pass, _with_an_argument_of_the_pass),
    *(_branching, _foreign),
)


@pytest.mark.parametrize("step", TAKEN)
def test_what_no_loop_is_written_for_is_refused(step):
    for written in (generating.pass_source, generating.kernel_source):
        with pytest.raises(generating.UnwritableError):
            written("p", step, ("v",))


def test_a_pass_has_a_name_whatever_that_of_the_file(monkeypatch):
    monkeypatch.setattr(_arithmetic, "__module__", "package.my-neuron")
    name = generating.pass_name(_arithmetic)
    assert name == "run_my_neuron_arithmetic"
    compile(generating.pass_source(name, _arithmetic, ("v",)), "pass", "exec")


@pytest.mark.parametrize("place", ["no home", "a file"])
def test_where_no_pass_can_be_kept_there_is_none(place, tmp_path, monkeypatch):
    (tmp_path / "a file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "a file") if place == "a file" else "")
    monkeypatch.setattr(Path, "home", Mock(side_effect=RuntimeError("Could not determine home directory.")))
    assert elsewhere.foreign_pass.__wrapped__(_arithmetic, ("v",)) is None


def test_numbers_and_comparisons_keep_the_dtype_of_the_data():
    source = generating.pass_source("p", _arithmetic, ("v",))
    compiled = source.replace("@loop\n", "")
    namespace = {"Array": None, "Arrays": None, "CHUNK": 1024, "np": np}
    exec(compiled, namespace)
    data, v, k = (np.array(values, np.float32) for values in ([[0.5, 2.0, 3.0]], [0.1, 0.2, 0.3], [1.5, 0.5, 1.0]))
    y, after = _arithmetic(data[0], v, k)
    out = np.empty_like(data)
    namespace["p"](data, out, (v,), (k,), np.array([[0, 3, 0, 0]]))
    np.testing.assert_array_equal(out[0], y.astype(np.float32))
    np.testing.assert_array_equal(v, after.astype(np.float32))


def _arithmetic(x, v, k):
    """Constants, negation, and comparisons that count as numbers."""
    s = (x > k) & ~(v >= 0.25)
    u = -v / 3 + s * k
    return s, where(s | (u < 0), u - 0.1, x)


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
    backends = torch.backends
    if hasattr(backends.mkldnn, "conv"):
        places = {backends.mkldnn.matmul: "bf16", backends.mkldnn.conv: "bf16", backends.cudnn.conv: "tf32"}
    else:  # torch before 2.9 has one switch for all products, and one of cuDNN
        places = dict(zip(_precisions(), ("medium", "tf32"), strict=True))
    before = [place.fp32_precision for place in places]
    try:
        for place, fast in places.items():
            place.fp32_precision = fast
        with exact_arithmetic():
            assert {place.fp32_precision for place in places} == {"ieee"}
            assert not torch._C._get_nnpack_enabled()
            assert torch.is_inference_mode_enabled()
        assert [place.fp32_precision for place in places] == list(places.values())
        assert torch._C._get_nnpack_enabled()
        assert not torch.is_inference_mode_enabled()
    finally:
        for place, value in zip(places, before, strict=True):
            place.fp32_precision = value


def test_dyadic_input_of_every_scale():
    """Denormal and huge currents pass both ways alike."""
    x = np.exp2(dyadic(1, (12, 1, *SHAPE), 60, 2.0)) * np.sign(dyadic(2, (12, 1, *SHAPE)))
    module = module_of(NEURONS["LIF"])
    fused, _ = module(torch.tensor(x))
    looped, _ = super(fused_snn.FusedSNN, module).forward(torch.tensor(x), module.state_fallback(torch.tensor(x[0])))
    torch.testing.assert_close(fused, looped, rtol=0, atol=0)
