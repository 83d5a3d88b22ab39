"""Networks of other frameworks: the same spikes, or the difference explained.

Every network is judged by its recording in ``peers/recorded``, and by what its framework exports and computes now
where it is installed.  snnTorch, sinabs, spikingjelly and Rockpool are no dependency.  To run their live cases,
install them into a folder and name it:
``pip install --no-deps --target /tmp/peers snntorch sinabs spikingjelly rockpool pbr`` and
``NIRBRIDGE_PEERS=/tmp/peers pytest ...``; ``peers/record.py`` records them anew.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest

import nirbridge
from nirbridge.errors import GraphWarning
from tests.conformance.peers.export import BETA, NETWORKS, TAU
from tests.conformance.peers.live import MissingPeerError, alike
from tests.conformance.peers.live import export as export_live
from tests.conformance.peers.record import place

Export = Callable[[str], tuple[nir.NIRGraph, np.ndarray, np.ndarray]]


@pytest.fixture(scope="module", params=["recorded", "live"])
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Export:
    """Unpacks or exports a network once, with all of its framework, and gives a fresh graph, x and y each time."""
    folders: dict[str, Path] = {}

    def export(name: str) -> tuple[nir.NIRGraph, np.ndarray, np.ndarray]:
        if name not in folders:
            live = request.param == "live"
            made = {other: tmp_path_factory.mktemp("export") for other in (alike(name) if live else [name])}
            try:
                if live:
                    export_live(made)
                else:
                    zipfile.ZipFile(place(name)).extractall(made[name])
            except MissingPeerError as error:
                pytest.skip(str(error))
            folders.update(made)
        x, y = (np.load(folders[name] / f"{array}.npy") for array in "xy")
        return nirbridge.read(folders[name] / "graph.nir"), x, y

    return export


def _differing(graph: nir.NIRGraph, x: np.ndarray, y: np.ndarray, runtime: str = "reference", **how: Any) -> int:
    """Values that differ: spikes at all, those of an LI by more than single precision."""
    with nirbridge.compile(graph, runtime, **how) as program:
        return int((np.abs(program.run(x).output - y) > 1e-5).sum())


# Name → how nirbridge runs the file to give the framework's own spikes.
MEANING: dict[str, dict[str, Any]] = {
    # Norse's exporter writes dt·tau for tau (it divides dt by the inverse): the step must be dt too, of dt.
    "norse LIFBox": {"dt": 1e-6},
    "norse LIBox": {"dt": 1e-6},
    "norse IAF": {},
    # snnTorch's exporter counts in steps of 0.1 ms.  Its Leaky resets to 0 or by the threshold; the file says to 0.
    "snntorch zero": {"dt": 1e-4},
    "snntorch zero, delayed": {"dt": 1e-4},
    "snntorch subtract": {"dt": 1e-4, "reset": "subtract"},
    "snntorch Synaptic": {"dt": 1e-4},
    "snntorch RLeaky": {"dt": 1e-4},
    # sinabs counts tau in steps, subtracts the threshold, and decays exactly towards its input.
    "sinabs IAF": {"reset": "subtract"},
    "sinabs LIF": {"dt": 1.0, "integrator": "hold", "reset": "subtract"},
    "sinabs CNN": {"reset": "subtract"},
    "spikingjelly LIF": {"dt": 1e-4},
}
# Those whose files say something else than their framework does; each has a test of its own.
EXPLAINED = {
    "norse LIF",
    "snntorch subtract, delayed",
    "snntorch RLeaky, bias",
    "snntorch RLeaky, subtract, delayed",
    "snntorch RLeaky, zero, delayed",
    "rockpool LIF",
    "sinabs LIF, plain input",
    "spikingjelly IF",
}


def test_every_network_has_its_meaning() -> None:
    assert set(NETWORKS) == set(MEANING) | EXPLAINED


@pytest.mark.parametrize("runtime", ["reference", "norse"])
@pytest.mark.parametrize("name", MEANING)
def test_same_spikes_as_the_exporting_framework(name: str, runtime: str, exported: Export) -> None:
    if runtime == "norse":
        pytest.importorskip("norse")
    graph, x, y = exported(name)
    problems = nirbridge.check(graph)
    assert not [problem for problem in problems if problem.severity == "error"]
    assert "resistances_count_steps" not in {problem.rule for problem in problems}
    assert _differing(graph, x, y, runtime, **MEANING[name]) == 0
    assert len(np.unique(y)) > 2 or 0.02 < y.mean() < 0.98


def _only(graph: nir.NIRGraph, kind: type[nir.NIRNode]) -> Any:
    (found,) = [node for node in graph.nodes.values() if type(node) is kind]
    return found


def test_norse_writes_time_constants_that_are_wrong_by_dt(exported: Export) -> None:
    """tau is 5 ms, and the file says 5 µs: a file of Norse's own, run in its own steps, gives other spikes."""
    graph, x, y = exported("norse LIFBox")
    lif = _only(graph, nir.LIF)
    assert lif.tau == pytest.approx(5e-3 * 1e-3)
    with pytest.warns(GraphWarning, match="tau is 5e-06 s, a step 0.001 s"):
        assert _differing(graph, x, y, dt=1e-3) > 0
    assert "euler_steps_are_stable" in {problem.rule for problem in nirbridge.check(graph)}
    lif.tau = lif.tau / 1e-3
    assert _differing(graph, x, y, dt=1e-3) == 0


def _affine(graph: nir.NIRGraph, x: np.ndarray, name: str = "") -> np.ndarray:
    affine = graph.nodes[name] if name else _only(graph, nir.Affine)
    return np.asarray(x @ affine.weight.T + affine.bias, dtype=np.float64)


def _norse_lif(current: np.ndarray, dt: float, tau_syn: float, tau_mem: float, threshold: float) -> np.ndarray:
    """Norse's step: the input jumps into the current whole, the membrane sees that, and then the current decays."""
    i, v, spikes = np.zeros(current.shape[1:]), np.zeros(current.shape[1:]), []
    for x in current:
        i = i + x
        v = v + dt / tau_mem * (i - v)
        i = i - dt / tau_syn * i
        spikes.append(v > threshold)
        v = np.where(spikes[-1], 0.0, v)
    return np.array(spikes)


def _nir_cuba_lif(
    current: np.ndarray, dt: float, tau_syn: float, tau_mem: float, threshold: float, w_in: float = 1.0
) -> np.ndarray:
    """NIR's equations in Euler steps: ``tau_syn di/dt = -i + w_in x``, then the membrane with the new current."""
    i, v, spikes = np.zeros(current.shape[1:]), np.zeros(current.shape[1:]), []
    for x in current:
        i = i + dt / tau_syn * (w_in * x - i)
        v = v + dt / tau_mem * (i - v)
        spikes.append(v > threshold)
        v = np.where(spikes[-1], 0.0, v)
    return np.array(spikes)


def test_norse_drops_the_gain_of_a_synapse(exported: Export) -> None:
    """An input adds x to Norse's current and dt/tau_syn x to that of the file, whose w_in stays at its default of 1.

    The order of the two updates is the same: both membranes see the current that already has the new input.  Decay
    before the input or after the membrane makes no difference to what the membrane sees.
    """
    graph, x, y = exported("norse LIF")
    current = _affine(graph, x)
    own = {"dt": 1e-3, "tau_syn": 1e-2, "tau_mem": 5e-3, "threshold": 0.3}
    cuba = _only(graph, nir.CubaLIF)
    assert np.array_equal(_norse_lif(current, **own), y)
    assert not np.array_equal(_nir_cuba_lif(current, **own), y)
    assert np.array_equal(_nir_cuba_lif(current, **own, w_in=own["tau_syn"] / own["dt"]), y)
    # The file's tau lack a factor of dt, as those of LIFBox; with dt² both runs are those of NIR's equations.
    assert (cuba.tau_syn.mean(), cuba.tau_mem.mean()) == pytest.approx((1e-5, 5e-6))
    assert np.all(cuba.w_in == 1)
    assert _differing(graph, x, _nir_cuba_lif(current, **own), dt=1e-6) == 0
    assert _differing(graph, x, y, dt=1e-6) > 100
    cuba.w_in = cuba.tau_syn / 1e-6
    assert _differing(graph, x, y, dt=1e-6) == 0


def test_snntorch_subtracts_a_step_late(exported: Export) -> None:
    """With its default delay the threshold comes off after the decay: as much as threshold/beta before it."""
    graph, x, y = exported("snntorch subtract, delayed")
    how = {"dt": 1e-4, "reset": "subtract"}
    assert _differing(graph, x, y, **how) > 0
    lif = _only(graph, nir.LIF)
    lif.v_reset = lif.v_threshold - lif.v_threshold / BETA
    assert _differing(graph, x, y, **how) == 0


def test_the_recurrent_layer_of_snntorch_sends_its_bias_before_the_first_spike(exported: Export) -> None:
    """The edge that closes a cycle brings 0 to the first step; in snnTorch the layer sees silence, and sends its bias.

    Moved into the layer in front, the bias comes at every step.
    """
    graph, x, y = exported("snntorch RLeaky, bias")
    how = {"dt": 1e-4}
    assert _differing(graph, x, y, **how) > 0
    front, recurrent = graph.nodes["0"], graph.nodes["1.w_rec"]
    front.bias, recurrent.bias = front.bias + recurrent.bias, 0 * recurrent.bias
    assert _differing(graph, x, y, **how) == 0


def test_a_recurrent_cell_of_snntorch_subtracts_a_step_late_too(exported: Export) -> None:
    graph, x, y = exported("snntorch RLeaky, subtract, delayed")
    how = {"dt": 1e-4, "reset": "subtract"}
    assert _differing(graph, x, y, **how) > 0
    lif = _only(graph, nir.LIF)
    lif.v_reset = lif.v_threshold - lif.v_threshold / BETA
    assert _differing(graph, x, y, **how) == 0


def test_a_late_reset_to_0_of_a_recurrent_cell_throws_an_input_away(exported: Export) -> None:
    """mem = beta mem + x + w spk, times 0 where the membrane was above the threshold a step before."""
    graph, x, y = exported("snntorch RLeaky, zero, delayed")
    for reset in ("value", "subtract"):
        assert _differing(graph, x, y, dt=1e-4, reset=reset) > 100
    weight, v, spikes = graph.nodes["1.w_rec"].weight, np.zeros(y.shape[1:]), [np.zeros(y.shape[1:])]
    for current in _affine(graph, x, "0"):
        v = np.where(v > 1, 0, BETA * v + current + spikes[-1] @ weight.T)
        spikes.append(v > 1)
    assert np.array_equal(spikes[1:], y)


def test_rockpool_integrates_exactly_and_its_file_lacks_two_gains(exported: Export) -> None:
    """i = e^(-dt/tau_syn) (i + x), v = e^(-dt/tau_mem) v + i, a spike takes the threshold off.

    Its exporter writes r = tau_mem e^(-dt/tau_mem)/dt and leaves w_in at 1.
    """
    graph, x, y = exported("rockpool LIF")
    how = {"dt": 1e-3, "integrator": "exact", "reset": "subtract"}
    assert _differing(graph, x, y, **how) > 100
    lif = _only(graph, nir.CubaLIF)
    assert lif.r == pytest.approx(lif.tau_mem * np.exp(-1e-3 / lif.tau_mem) / 1e-3, rel=1e-5)
    lif.r, lif.w_in = lif.tau_mem / 1e-3, lif.tau_syn * np.exp(-1e-3 / lif.tau_syn) / 1e-3
    assert _differing(graph, x, y, **how) == 0
    for other in ({"integrator": "euler"}, {"integrator": "hold"}, {"reset": "value"}):
        assert _differing(graph, x, y, **{**how, **other}) > 100


def test_sinabs_drops_the_gain_of_plain_input(exported: Export) -> None:
    """Without norm_input its input is not scaled by 1 - exp(-1/tau), and the file says R = 1 all the same."""
    graph, x, y = exported("sinabs LIF, plain input")
    how = {"dt": 1.0, "integrator": "hold", "reset": "subtract"}
    assert _differing(graph, x, y, **how) > 0
    lif = _only(graph, nir.LIF)
    lif.r = lif.r / -np.expm1(-1 / TAU)
    assert _differing(graph, x, y, **how) == 0


def test_spikingjelly_counts_the_if_in_seconds(exported: Export) -> None:
    """Its exporter writes R = 1/dt, for v += dt R x; Norse, sinabs and the NIR paper's CNN write 1, for v += R x."""
    graph, x, y = exported("spikingjelly IF")
    assert _differing(graph, x, y) > 0
    assert "resistances_count_steps" in {problem.rule for problem in nirbridge.check(graph)}
    neuron = _only(graph, nir.IF)
    neuron.r = neuron.r * 1e-4
    assert _differing(graph, x, y) == 0
