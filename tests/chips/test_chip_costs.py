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


def data() -> np.ndarray:
    """10 steps of 2 samples: all inputs send, then half of them, and the hidden layer at each second step."""
    x = np.ones((10, 2, 10))
    x[1::2, :, 5:] = 0
    return x


def test_a_mean_step_of_data_by_hand() -> None:
    with nirbridge.compile(graph()) as program:
        hidden = program.run(data(), record=["n1"]).records["n1"]
    assert hidden.mean() == 0.5
    step = check_chip(graph(), "loihi1", x=data()).step
    assert step is not None
    assert step.activity == {"input": 0.75, "n1": 0.5}
    sent = 20 * 10 * 0.75 + 4 * 20 * 0.5
    assert step.energy_pj == pytest.approx((24 * 52 + sent * 23.6, 24 * 81 + sent * 23.6))
    assert step.time_ns == pytest.approx((20 * 5.3 + 113, 20 * 8.4 + 20 * 7.5 * 3.5 + 465))
    everything = check_chip(graph(), "loihi1").step
    assert everything is not None
    assert step.energy_pj[1] < everything.energy_pj[1]


def test_the_activity_is_that_of_integers() -> None:
    """In integers half of 1 is 0, so a membrane never passes 1; in floating point the second step does."""
    leaky = nir.LIF(*(np.full(4, value) for value in (2e-3, 2.0, 0.0, 1.0)))
    made = line(nir.Linear(np.eye(4)), leaky, nir.Linear(np.eye(4)), leaky, shape=(4,))
    x = np.ones((10, 2, 4))
    with nirbridge.compile(made, dt=1e-3) as program:
        assert program.run(x, record=["n1"]).records["n1"].any()
    step = check_chip(made, "loihi1", 1e-3, x).step
    assert step is not None
    assert step.activity == {"input": 1.0, "n1": 0.0}


def test_data_bring_a_mean_step_by_the_command(tmp_path: Path) -> None:
    path, x = tmp_path / "g.nir", tmp_path / "x.npy"
    nirbridge.write(path, graph())
    np.save(x, data())
    command = ["check", str(path), "-i", str(x)]
    done = CliRunner().invoke(main, [*command, "--runtime", "lava", "--chip", "loihi1"])
    assert "the mean one of the data, where 50.0% to 75.0% of what a layer hears sends: 0.219 to 1.16 µs" in done.output
    assert CliRunner().invoke(main, command).exit_code == 2
    np.save(x, data()[..., :9])
    done = CliRunner().invoke(main, [*command, "--runtime", "lava", "--chip", "loihi1"])
    assert done.exit_code == 2
    assert "x.npy" in done.output


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
