"""Products in the energy models, against sums by hand."""

from __future__ import annotations

import nir
import numpy as np
import pytest

import nirbridge
from nirbridge.costing import ann_energy, count_macs
from nirbridge.costing.costs import ram_access
from nirbridge.ir import MultiLevelLIF, Place, Product
from tests.costing.nets import entry, net


def gate(lanes: int = 2, weight: float = 1.0) -> nir.NIRGraph:
    """Spikes 1 or 2 of two layers of 3 neurons each, multiplied, and a layer behind them."""
    act = MultiLevelLIF.one_hot((3,), lanes, boundary=">=")
    act.lane_weight = act.lane_weight * weight
    nodes = {
        "input": entry(2),
        "p": nir.Linear(np.array([[1.0, 0], [0, 1], [0, 0]])),
        "a": act,
        "a.at": Place((3,), (6,), 0, 3),
        "q": nir.Linear(np.array([[2.0, 0], [0, 0], [1, 1]])),
        "b": act,
        "b.at": Place((3,), (6,), 3, 6),
        "m": Product((6,), 2),
        "out": nir.Linear(np.ones((1, 3))),
    }
    return net(nodes, "input p a a.at m out output", "input q b b.at m")


X = np.array([[[1.0, 2.0]], [[2.0, 1.0]]])
"""a sends 1, 2, 0 and 2, 1, 0; b sends 2, 0, 2 both times: the products are 2, 0, 0 and 4, 0, 0."""


def test_one_addition_for_each_product_of_powers_of_two() -> None:
    report = nirbridge.energy(gate(), X)
    row = report["m"]
    assert (row.type, row.input, row.macs) == ("Product", "events", 3)
    assert (row.events, row.rate) == (8, 8 / 6)
    assert (row.counts["adds"], row.operations) == (2, 2)
    assert row.pj == pytest.approx(2 * 0.9)
    assert row.ann_pj == pytest.approx(3 * 4.6)
    assert report["out"].events == 2
    assert report["out"].values == 2 + 4
    assert report.not_counted["a.at"] == "part of the address of an event"
    assert count_macs(gate()) == {"p": 6, "q": 6, "m": 3, "out": 3}
    assert ann_energy(gate()) == pytest.approx(report.ann_pj)


def test_other_levels_are_multiplied() -> None:
    row = nirbridge.energy(gate(weight=3.0), X)["m"]
    assert row.counts["macs"] == 2
    assert "adds" not in row.counts


def test_analog_factors_are_multiplied_densely() -> None:
    nodes = {"input": entry(2), "fc": nir.Linear(np.ones((4, 2))), "m": Product((4,), 2)}
    row = nirbridge.energy(net(nodes, "input fc m output"), X)["m"]
    assert (row.input, row.counts["macs"]) == ("analog", 2 * 1)


def test_memory_model_holds_the_factors() -> None:
    row = nirbridge.energy(gate(), X, model="memory")["m"]
    waiting, queue = ram_access(6, 32), ram_access(0, 32)
    assert row.counts["potentials reads"] == row.counts["potentials writes"] == row.counts["input reads"] == 8
    assert row.counts["output writes"] == 2
    assert row.pj == pytest.approx(8 * queue + 16 * waiting + 2 * queue + 2 * 0.1)
    assert row.ann_pj == pytest.approx(6 * ram_access(6, 32) + 3 * ram_access(3, 32) + 3 * 3.2)
