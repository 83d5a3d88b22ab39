"""The recordings of the NIR paper: what each platform computed for the same graph."""

from __future__ import annotations

from pathlib import Path

import nir
import numpy as np
import pytest

import nirbridge

DT = 1e-4


def _recorded(folder: Path, platform: str) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """Input, membrane and spike times; Sinabs kept its input behind a weight of 0.04."""
    table = np.genfromtxt(folder / f"lif_{platform}.csv", delimiter=",")
    x = table[:, 0] / (0.04 if platform == "sinabs" else 1.0)
    return x.reshape(-1, 1, 1), table[:, 1], np.flatnonzero(table[:, 2]).tolist()


# Platform → integrator and the steps by which it comes late.  Lava and Spyx are Euler, as their membranes show.
SPIKES = {
    "norse": ("euler", 0),
    "exact": ("euler", 0),
    "snntorch": ("euler", 0),
    "nengo": ("euler", 0),
    "spinnaker2": ("euler", 0),
    "sinabs": ("exact", 0),
    "rockpool": ("exact", 0),
    "lava_cpu_float": ("euler", 1),
    "lava_cpu_fixed": ("euler", 1),
    "lava_loihi_fixed": ("euler", 1),
    "spyx": ("euler", 1),
}


@pytest.mark.parametrize("runtime", ["reference", "norse"])
@pytest.mark.parametrize("platform", SPIKES)
def test_spike_times_of_every_platform(shared_data: Path, platform: str, runtime: str) -> None:
    if runtime == "norse":
        pytest.importorskip("norse")
    folder = shared_data / "nir-paper" / "01_lif"
    integrator, late = SPIKES[platform]
    x, _, times = _recorded(folder, platform)
    graph = nirbridge.read(folder / "lif_norse.nir")
    with nirbridge.compile(graph, runtime, dt=DT, integrator=integrator) as program:
        found = np.flatnonzero(program.run(x).output)
    assert (found + late).tolist() == times
    assert len(times) == 4


# Platform → integrator, the factor between its membrane's unit and NIR's, steps late, relative deviation.
MEMBRANES = {
    "norse": ("euler", 1.0, 0, 1e-5),
    "snntorch": ("euler", 25.0, 0, 1e-5),
    "spinnaker2": ("euler", 24.995087, 0, 1e-5),
    "lava_cpu_float": ("euler", 1.0, 1, 1e-5),
    "spyx": ("euler", 1.0, 0, 1e-5),
    "sinabs": ("exact", 1.0, 0, 1e-5),
    "rockpool": ("exact", 1.0, 0, 1e-5),
    "exact": ("hold", 1.0, 0, 1e-11),
    "nengo": ("hold", 10.0, 0, 1e-7),
}


@pytest.mark.parametrize("platform", MEMBRANES)
def test_membranes_tell_the_integrators_apart(shared_data: Path, platform: str) -> None:
    """Up to the first spike, where no reset plays in, each platform's membrane is that of one integrator alone."""
    folder = shared_data / "nir-paper" / "01_lif"
    x, membrane, times = _recorded(folder, platform)
    own, unit, late, limit = MEMBRANES[platform]
    lif = nirbridge.read(folder / "lif_norse.nir").nodes["1"]
    nodes = {"input": nir.Input(np.array([1])), "v": nir.LI(lif.tau, lif.r, lif.v_leak), "output": nir.Output(None)}
    graph = nir.NIRGraph(nodes, [("input", "v"), ("v", "output")], type_check=False)
    far = {}
    for integrator in ("euler", "exact", "hold"):
        with nirbridge.compile(graph, dt=DT, integrator=integrator) as program:
            v = program.run(x[: times[0] - 1 - late]).output.ravel()
        recorded = membrane[late : late + len(v)] / unit
        far[integrator] = float(np.abs(recorded - v).max() / np.abs(v).max())
    assert far.pop(own) < limit
    assert min(far.values()) > 1e-3


def test_the_graph_of_rockpool_runs_and_says_what_it_assumes(shared_data: Path) -> None:
    graph = nirbridge.read(shared_data / "nir-paper" / "01_lif" / "lif_rockpool.nir")
    (problem,) = nirbridge.check(graph)
    assert problem.severity == "warning"
    with (
        pytest.warns(nirbridge.errors.GraphWarning, match=r"declares shape \(1, 1, 1\), while \(1,\) arrives"),
        nirbridge.compile(graph, dt=DT) as program,
    ):
        assert program.run(np.ones((50, 1, 1))).output.sum() > 0


@pytest.mark.parametrize("reset", ["value", "subtract"])
@pytest.mark.parametrize("integrator", ["euler", "exact"])
@pytest.mark.parametrize(
    "name", ["02_cnn/cnn_sinabs", "03_rnn/braille_noDelay_bias_zero", "03_rnn/braille_noDelay_noBias_subtract"]
)
def test_trained_graphs_agree(shared_data: Path, name: str, integrator: str, reset: str) -> None:
    pytest.importorskip("norse")
    graph = nirbridge.read(shared_data / "nir-paper" / f"{name}.nir")
    shape = next(tuple(node.output_type["output"]) for node in graph.nodes.values() if type(node) is nir.Input)
    x = (np.random.default_rng(0).random((40, 2, *shape)) < 0.1).astype(np.float32)
    found = nirbridge.compare(graph, x, ["norse"], dt=DT, integrator=integrator, reset=reset)
    differing, spikes = found.differing_spikes("norse")
    assert found.agrees
    assert differing <= spikes * 1e-4
    assert spikes > 20
