"""Graphs exported live by the frameworks that are installed: the same spikes, or the difference explained.

snnTorch and sinabs are no dependency.  To run their cases, install them into a folder and name it:
``pip install --no-deps --target /tmp/peers snntorch sinabs pbr`` and ``NIRBRIDGE_PEERS=/tmp/peers pytest ...``.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest

import nirbridge
from tests.conformance.live_exports import BETA, NETWORKS, TAU

SCRIPT = Path(__file__).with_name("live_exports.py")


Export = Callable[[str], tuple[nir.NIRGraph, np.ndarray, np.ndarray]]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Export:
    """Exports a network once, and gives a fresh graph, x and y each time."""
    folders: dict[str, Path] = {}

    def export(name: str) -> tuple[nir.NIRGraph, np.ndarray, np.ndarray]:
        if name not in folders:
            folders[name] = _export(name, tmp_path_factory.mktemp("export"))
        x, y = (np.load(folders[name] / f"{array}.npy") for array in "xy")
        return nirbridge.read(folders[name] / "graph.nir"), x, y

    return export


def _export(name: str, folder: Path) -> Path:
    peers, package = os.environ.get("NIRBRIDGE_PEERS", ""), NETWORKS[name][0].split(".")[0]
    if not find_spec(package) and not (peers and (Path(peers) / package).is_dir()):
        pytest.skip(f"{package} is not installed; see NIRBRIDGE_PEERS in this file")
    # Behind the installed packages: the folder may hold another version of one of them.
    code = f"import runpy, sys; sys.path.append(sys.argv.pop(1)); runpy.run_path({str(SCRIPT)!r}, run_name='__main__')"
    command = [sys.executable, "-W", "ignore", "-c", code, peers, name, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    if done.returncode == 3:
        pytest.skip(done.stdout.strip())
    assert done.returncode == 0, done.stderr
    return folder


def _differing(graph: nir.NIRGraph, x: np.ndarray, y: np.ndarray, runtime: str = "reference", **how: Any) -> int:
    with nirbridge.compile(graph, runtime, **how) as program:
        return int((program.run(x).output != y).sum())


# Name → how nirbridge runs the file to give the framework's own spikes.
MEANING: dict[str, dict[str, Any]] = {
    # Norse's exporter writes dt·tau for tau (it divides dt by the inverse): the step must be dt too, of dt.
    "norse LIFBox": {"dt": 1e-6},
    "norse IAF": {},
    # snnTorch's exporter counts in steps of 0.1 ms.  Its Leaky resets to 0 or by the threshold; the file says to 0.
    "snntorch zero": {"dt": 1e-4},
    "snntorch zero, delayed": {"dt": 1e-4},
    "snntorch subtract": {"dt": 1e-4, "reset": "subtract"},
    # sinabs counts tau in steps, subtracts the threshold, and decays exactly towards its input.
    "sinabs IAF": {"reset": "subtract"},
    "sinabs LIF": {"dt": 1.0, "integrator": "hold", "reset": "subtract"},
}


@pytest.mark.parametrize("runtime", ["reference", "norse"])
@pytest.mark.parametrize("name", MEANING)
def test_same_spikes_as_the_exporting_framework(name: str, runtime: str, exported: Export) -> None:
    pytest.importorskip("norse")
    graph, x, y = exported(name)
    assert not [problem for problem in nirbridge.check(graph) if problem.severity == "error"]
    assert _differing(graph, x, y, runtime, **MEANING[name]) == 0
    assert 0.02 < y.mean() < 0.98


def test_norse_writes_time_constants_that_are_wrong_by_dt(exported: Export) -> None:
    """tau is 5 ms, and the file says 5 µs: a file of Norse's own, run in its own steps, gives other spikes."""
    graph, x, y = exported("norse LIFBox")
    (lif,) = [node for node in graph.nodes.values() if type(node) is nir.LIF]
    assert lif.tau == pytest.approx(5e-3 * 1e-3)
    assert _differing(graph, x, y, dt=1e-3) > 0
    assert "euler_steps_are_stable" in {problem.rule for problem in nirbridge.check(graph)}
    lif.tau = lif.tau / 1e-3
    assert _differing(graph, x, y, dt=1e-3) == 0


def test_snntorch_subtracts_a_step_late(exported: Export) -> None:
    """With its default delay the threshold comes off after the decay: as much as threshold/beta before it."""
    graph, x, y = exported("snntorch subtract, delayed")
    how = {"dt": 1e-4, "reset": "subtract"}
    assert _differing(graph, x, y, **how) > 0
    (lif,) = [node for node in graph.nodes.values() if type(node) is nir.LIF]
    lif.v_reset = lif.v_threshold - lif.v_threshold / BETA
    assert _differing(graph, x, y, **how) == 0


def test_sinabs_drops_the_gain_of_plain_input(exported: Export) -> None:
    """Without norm_input its input is not scaled by 1 - exp(-1/tau), and the file says R = 1 all the same."""
    graph, x, y = exported("sinabs LIF, plain input")
    how = {"dt": 1.0, "integrator": "hold", "reset": "subtract"}
    assert _differing(graph, x, y, **how) > 0
    (lif,) = [node for node in graph.nodes.values() if type(node) is nir.LIF]
    lif.r = lif.r / -np.expm1(-1 / TAU)
    assert _differing(graph, x, y, **how) == 0


def test_every_network_has_its_meaning() -> None:
    assert set(NETWORKS) - set(MEANING) == {"snntorch subtract, delayed", "sinabs LIF, plain input"}
