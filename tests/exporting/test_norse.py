"""Norse's neurons: the exported graph sends the same spikes as Norse itself, step by step."""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import nir
import numpy as np
import pytest
import torch
from torch import nn

from nirbridge.errors import ExportError, GraphWarning
from nirbridge.exporting import export
from nirbridge.ir import EventInput
from tests.exporting.running import dyadic, make_dyadic, run_graph

with warnings.catch_warnings():
    # torch.jit.script, which Norse uses, warns that it is deprecated.
    warnings.simplefilter("ignore")
    norse = pytest.importorskip("norse.torch", reason="needs the extra 'norse'")

STEPS = 30


def _t(value: Any) -> torch.Tensor:
    return torch.as_tensor(value, dtype=torch.float32)


# dt·tau_inv is 1/4 or 1/2 here, so that every number is dyadic and sums are exact.
_DYADIC = {"tau_syn_inv": _t(500.0), "tau_mem_inv": _t(250.0)}
_REST = {"v_leak": _t(-0.5), "v_th": _t(0.25), "v_reset": _t(-0.75)}
_PER_FEATURE = {"v_th": _t([0.25, 0.5, 0.75, 1.0, 1.25, 1.5])}


def _subtract() -> Any:
    return norse.functional.reset.reset_subtract


SPIKING: dict[str, Any] = {
    "LIFCell": lambda: norse.LIFCell(norse.LIFParameters(**_DYADIC)),
    "LIFCell, rest": lambda: norse.LIFCell(norse.LIFParameters(**_DYADIC, **_REST)),
    "LIFCell, features": lambda: norse.LIFCell(norse.LIFParameters(**_DYADIC, **_PER_FEATURE)),
    "LIFCell, own dt": lambda: norse.LIFCell(norse.LIFParameters(_t(250.0), _t(125.0)), dt=2e-3),
    "LIFBoxCell": lambda: norse.LIFBoxCell(norse.LIFBoxParameters(tau_mem_inv=_t(250.0))),
    "LIFBoxCell, rest": lambda: norse.LIFBoxCell(norse.LIFBoxParameters(tau_mem_inv=_t(250.0), **_REST)),
    "LIFBoxCell, soft": lambda: norse.LIFBoxCell(
        norse.LIFBoxParameters(tau_mem_inv=_t(250.0), v_th=_t(0.25), reset_method=_subtract())
    ),
    "LIFBoxCell, soft, rest": lambda: norse.LIFBoxCell(
        norse.LIFBoxParameters(tau_mem_inv=_t(250.0), v_leak=_t(-0.5), v_th=_t(0.25), reset_method=_subtract())
    ),
    "IAFCell": lambda: norse.IAFCell(norse.IAFParameters(v_th=_t(1.5))),
    "IAFCell, rest": lambda: norse.IAFCell(norse.IAFParameters(v_th=_t(0.5), v_reset=_t(-0.25))),
}
ANALOG: dict[str, Any] = {
    "LICell": lambda: norse.LICell(norse.LIParameters(**_DYADIC)),
    "LIBoxCell": lambda: norse.LIBoxCell(norse.LIBoxParameters(tau_mem_inv=_t(250.0))),
}


def _by_steps(net: nn.Module, x: torch.Tensor) -> np.ndarray:
    """The network called once a step, its state handed on."""
    outputs, state = [], None
    with torch.no_grad():
        for frame in x:
            y, state = net(frame, state)
            outputs.append(y)
    return torch.stack(outputs).numpy()


@pytest.mark.parametrize("name", [*SPIKING, *ANALOG])
def test_cell_with_dyadic_numbers_is_exact(name: str) -> None:
    cell = {**SPIKING, **ANALOG}[name]()
    net = make_dyadic(norse.SequentialState(nn.Linear(4, 6), cell, nn.Linear(6, 3, bias=False)))
    # A membrane without resets takes more and more bits, until sums are no longer exact.
    x = dyadic(STEPS if name in SPIKING else 8, 3, 4)
    expected = _by_steps(net, x)
    assert np.ptp(expected) > 0
    np.testing.assert_array_equal(run_graph(export(net, (4,)), x.numpy()), expected)


@pytest.mark.parametrize("name", ["LIFCell", "LIFBoxCell", "IAFCell", "LICell", "LIBoxCell"])
def test_cell_with_its_own_defaults_agrees(name: str) -> None:
    torch.manual_seed(3)
    net = norse.SequentialState(nn.Linear(4, 6), getattr(norse, name)(), nn.Linear(6, 3)).double()
    x = dyadic(60, 3, 4)
    expected = _by_steps(net, x)
    assert np.ptp(expected) > 0
    np.testing.assert_allclose(run_graph(export(net, (4,)), x.numpy()), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", ["LIF", "LI", "IAF"])
def test_layer_over_time_agrees(name: str) -> None:
    torch.manual_seed(5)
    net = norse.SequentialState(nn.Linear(4, 6), getattr(norse, name)(), nn.Linear(6, 3)).double()
    x = dyadic(60, 3, 4)
    with torch.no_grad():
        expected = net(x)[0].numpy()
    assert np.ptp(expected) > 0
    np.testing.assert_allclose(run_graph(export(net, (4,)), x.numpy()), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("autapses", [False, True])
@pytest.mark.parametrize("name", ["LIFRecurrentCell", "LIFRecurrent"])
def test_recurrent_neurons_are_exact(name: str, autapses: bool) -> None:
    layer = getattr(norse, name)(4, 6, norse.LIFParameters(**_DYADIC), autapses=autapses)
    net = make_dyadic(norse.SequentialState(layer, nn.Linear(6, 3, bias=False)))
    x = dyadic(STEPS, 3, 4)
    with torch.no_grad():
        expected = _by_steps(net, x) if name.endswith("Cell") else net(x)[0].numpy()
    assert np.ptp(expected) > 0
    graph = export(net, (4,))
    assert {("0", "0.recurrent"), ("0.recurrent", "0"), ("0.input", "0")} <= set(graph.edges)
    np.testing.assert_array_equal(run_graph(graph, x.numpy()), expected)


def test_lifted_convolution_and_cells() -> None:
    torch.manual_seed(1)
    net = norse.SequentialState(
        norse.Lift(nn.Conv2d(2, 3, 3)),
        norse.LIF(norse.LIFParameters(v_th=_t(0.25))),
        norse.Lift(norse.SequentialState(nn.Flatten(), nn.Linear(12, 5), norse.LICell())),
    ).double()
    x = dyadic(20, 2, 2, 4, 4)
    graph = export(net, (2, 4, 4))
    assert list(graph.nodes) == ["input", "0", "1", "2.0", "2.1", "2.2", "output"]
    with torch.no_grad():
        (expected, _state), _states = net(x)
    np.testing.assert_allclose(run_graph(graph, x.numpy()), expected, rtol=1e-9, atol=1e-9)


class _Cells(nn.Module):
    """Goes one way at the first step and another at the rest."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 6)
        self.lif, self.out = norse.LIFCell(norse.LIFParameters(**_DYADIC)), norse.LICell(norse.LIParameters(**_DYADIC))

    def forward(self, x: torch.Tensor, state: Any = None) -> Any:
        first, second = state if state is not None else (None, None)
        spikes, first = self.lif(self.fc(x), first)
        y, second = self.out(spikes, second)
        return y, (first, second)


def test_a_lifted_forward_that_asks_for_its_states() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.steps = norse.Lift(_Cells())

        def forward(self, x: torch.Tensor) -> Any:
            return self.steps(x)[0]

    torch.manual_seed(1)
    net, x = make_dyadic(Net()), dyadic(STEPS, 3, 4)
    with torch.no_grad():
        expected = net(x).numpy()
    assert np.ptp(expected) > 0
    np.testing.assert_array_equal(run_graph(export(net, (4,)), x.numpy()), expected)


def test_a_forward_that_hands_on_states() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(4, 6)
            self.lif = norse.LIFCell(norse.LIFParameters(**_DYADIC))
            self.out = norse.LICell(norse.LIParameters(**_DYADIC))

        def forward(self, x: torch.Tensor, state: Any = None) -> Any:
            first, second = state if state is not None else (None, None)
            spikes, first = self.lif(self.fc(x), first)
            v, second = self.out(spikes, second)
            return v, (first, second)

    net = make_dyadic(Net())
    x = dyadic(STEPS, 3, 4)
    np.testing.assert_array_equal(run_graph(export(net, (4,)), x.numpy()), _by_steps(net, x))


def test_time_constants_follow_the_time_step_of_the_graph() -> None:
    net = norse.SequentialState(nn.Flatten(), norse.LIFCell(norse.LIFParameters(**_DYADIC)))
    (node,) = (n for n in export(net, (8,)).nodes.values() if type(n) is nir.CubaLIF)
    np.testing.assert_allclose([node.tau_mem[0], node.tau_syn[0], node.w_in[0]], [4e-3, 2e-3, 2.0])
    camera = EventInput(shape=(2, 2, 2), sensor_size=(2, 2), window=10_000)
    (node,) = (n for n in export(net, input_node=camera).nodes.values() if type(n) is nir.CubaLIF)
    np.testing.assert_allclose([node.tau_mem[0], node.tau_syn[0], node.w_in[0]], [4e-2, 2e-2, 2.0])


class _Forgetful(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lif = norse.LIFCell()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        spikes, _ = self.lif(x)
        return spikes


class _Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lif = norse.LIFCell()

    def forward(self, x: torch.Tensor, state: Any = None) -> Any:
        spikes, state = self.lif(x, state)
        again, _ = self.lif(spikes)
        return again, state


class _Stepping(nn.Module):
    """A step of two cells, whose states go in and out as a pair."""

    def __init__(self, step: Any) -> None:
        super().__init__()
        self.first, self.second = norse.LIFCell(), norse.LICell()
        self.step = step

    def forward(self, x: torch.Tensor, state: Any = None) -> Any:
        return self.step(self, x, state)


def _begins(cell: Any, x: torch.Tensor, state: Any) -> Any:
    return cell.first(x if state is not None else 2 * x, state)


def _forgets(cell: Any, x: torch.Tensor, state: Any) -> Any:
    first, second = state or (None, None)
    spikes, first = cell.first(x)
    v, second = cell.second(spikes, second)
    return v, (first, second)


def _swaps(cell: Any, x: torch.Tensor, state: Any) -> Any:
    second, first = state or (None, None)
    spikes, first = cell.first(x, first)
    v, second = cell.second(spikes, second)
    return v, (first, second)


def _leaks(cell: Any, x: torch.Tensor, state: Any) -> Any:
    v = x if state is None else 0.5 * state + x
    return v, v


class _States(NamedTuple):
    first: Any = None
    second: Any = None


def _names(cell: Any, x: torch.Tensor, state: Any) -> Any:
    state = state or _States()
    spikes, first = cell.first(x, state.first)
    v, second = cell.second(spikes, state.second)
    return v, _States(first, second)


_LATER = "what it does changes at a step that is given the states of the one before"

REFUSED: dict[str, tuple[Any, str]] = {
    "another first step": (lambda: _Stepping(_begins), _LATER),
    "another first step, lifted": (lambda: norse.Lift(_Stepping(_begins)), _LATER),
    "another first step, in a sequence": (lambda: norse.SequentialState(nn.Linear(4, 4), _Stepping(_begins)), _LATER),
    "a state that is not passed on": (lambda: norse.Lift(_Stepping(_forgets)), _LATER),
    "states that are swapped": (lambda: norse.Lift(_Stepping(_swaps)), _LATER),
    "a state of the code's own": (lambda: norse.Lift(_Stepping(_leaks)), "more than the states of Norse's cells"),
    "no state beside the output": (
        lambda: norse.Lift(_Stepping(lambda cell, x, state: x)),
        "does not return its output and its state",
    ),
    "a leak that shifts the output": (lambda: norse.LICell(norse.LIParameters(v_leak=_t(0.5))), "v_leak 0.5"),
    "a state that is dropped": (_Forgetful, "module 'lif': its state is not returned"),
    "a cell called twice": (_Twice, "called twice a step"),
    "a refractory neuron": (norse.LIFRefracCell, "LIFRefracCell: is a type of layer"),
    "a recurrent neuron": (lambda: norse.LSNNRecurrentCell(4, 4), "LSNNRecurrentCell: is a type of layer"),
    "no time constant": (lambda: norse.LIFBoxCell(norse.LIFBoxParameters(tau_mem_inv=_t(0.0))), "dt·tau_mem_inv is 0"),
    "features that do not fit": (
        lambda: norse.LIFCell(norse.LIFParameters(v_th=_t([1.0, 2.0, 3.0]))),
        "do not broadcast to features (4,)",
    ),
    "cells and layers mixed": (
        lambda: norse.SequentialState(norse.LIF(), norse.LIFCell()),
        "[T, B, ...], but its input is [B, ...] of one step",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_nir_cannot_say_is_refused(name: str) -> None:
    build, text = REFUSED[name]
    with pytest.raises(ExportError) as caught:
        export(build(), (4,))
    assert text in str(caught.value)


@pytest.mark.parametrize("lifted", [False, True])
def test_states_may_have_names(lifted: bool) -> None:
    net, x = _Stepping(_names).double(), 4 * dyadic(STEPS, 3, 4)
    with warnings.catch_warnings():
        warnings.simplefilter("error", GraphWarning)
        graph = export(norse.Lift(net) if lifted else net, (4,))
    expected = _by_steps(net, x)
    assert np.ptp(expected) > 0
    np.testing.assert_allclose(run_graph(graph, x.numpy()), expected, atol=1e-9)


def test_what_a_caller_may_pass_besides_is_said() -> None:
    with pytest.warns(GraphWarning, match=r"its forward is read with state=None; .*input_shape names it"):
        graph = export(_Stepping(lambda cell, x, state: x if state is None else x + state), (4,))
    assert list(graph.nodes) == ["input", "output"]
