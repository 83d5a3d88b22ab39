"""What Loihi itself computed: every spike and membrane, on every runtime."""

import numpy as np
import pytest

import loihi_chip
import nirbridge


@pytest.fixture(scope="module")
def recorded(shared_data):
    path = shared_data / "loihi-chip" / "recorded.npz"
    if not path.exists():
        pytest.skip(f"{path} is not here")
    with np.load(path) as stored:
        return dict(stored)


@pytest.mark.parametrize("name", loihi_chip.RUNS)
def test_fixed_point_is_what_loihi_computed(recorded, name):
    runtime = nirbridge.runtimes()[name.split()[0]]
    if not runtime.usable:
        pytest.skip(runtime.reason)
    found = loihi_chip.run(loihi_chip.make_graph(recorded), recorded["input_spikes"], name)
    assert loihi_chip.differences(found, recorded) == {
        "hidden spikes": (0, 12475),
        "output spikes": (0, 498),
        "hidden membrane": (0, 499),
        "output membrane": (0, 498),
    }
    assert found["hidden"][:-1].sum() == recorded["hidden_spikes"].sum() == 639
    assert np.flatnonzero(found["out"]).tolist() == [55, 58]


def test_another_rounding_would_show(recorded):
    graph = loihi_chip.make_graph(recorded)
    graph.nodes["hidden"].tau_mem *= 128 / 129
    graph.nodes["hidden"].r *= 128 / 129
    counts = loihi_chip.differences(loihi_chip.run(graph, recorded["input_spikes"], "reference"), recorded)
    assert counts["hidden membrane"][0] > 300
