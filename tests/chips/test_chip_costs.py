"""Time and energy of a step on a chip, by hand from the published figures."""

from __future__ import annotations

import json
from pathlib import Path

import nir
import numpy as np
import pytest
from click.testing import CliRunner

import nirbridge
from nirbridge.chips import check_chip
from nirbridge.cli import main
from nirbridge.conformance.cases import line


def graph(hidden: int = 20, classes: int = 4) -> nir.NIRGraph:
    """10 inputs, and two layers of integers that fit a core each."""

    def spiking(count: int) -> nir.IF:
        return nir.IF(np.ones(count), np.full(count, 30.0), np.zeros(count))

    first, second = np.full((hidden, 10), 3.0), np.full((classes, hidden), 5.0)
    return line(nir.Linear(first), spiking(hidden), nir.Linear(second), spiking(classes), shape=(10,))


def test_a_step_by_hand() -> None:
    report = check_chip(graph(), "loihi1")
    assert report.cores == 2
    step = report.step
    assert step is not None
    synapses = 20 * 10 + 4 * 20
    assert step.energy_pj == pytest.approx((24 * 52, 24 * 81 + synapses * 23.6))
    assert step.time_ns == pytest.approx((20 * 5.3 + 113, 20 * 8.4 + 200 * 3.5 + 465))
    assert "a step, from silence to all inputs and neurons sending: 0.219 to 1.33 µs and 1.25 to 8.55 nJ" in " ".join(
        report.summary()
    )


def test_no_figures_no_answer() -> None:
    report = check_chip(graph(), "loihi2")
    assert report.step is None
    assert "time and energy of a step cannot be said: no public source has them for loihi2" in report.summary()


def test_several_chips_have_another_barrier() -> None:
    report = check_chip(graph(hidden=140_000), "loihi1")
    assert report.step is None
    assert "time and energy of a step cannot be said: the graph takes more than one chip" in report.summary()


def test_the_command_gives_both(tmp_path: Path) -> None:
    path = tmp_path / "g.nir"
    nirbridge.write(path, graph())
    command = ["check", str(path), "--runtime", "lava", "--chip", "loihi1"]
    done = CliRunner().invoke(main, command)
    assert "estimated from [D18], table 2, simulated before silicon; without routing of spikes" in done.output
    step = json.loads(CliRunner().invoke(main, [*command, "--json"]).output)["chip"]["step"]
    assert step["energy_pj"][0] == 24 * 52
    assert step["synapse_pj"] == 23.6
