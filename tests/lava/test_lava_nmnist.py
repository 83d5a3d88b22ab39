"""The example with a network trained for Loihi: equal to plain numpy in every spike and membrane, and right."""

import csv
import importlib.util
from pathlib import Path

import numpy as np
import pytest
from lava_graphs import needs_lava

import nirbridge

pytestmark = needs_lava
EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "loihi_nmnist.py"


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("loihi_nmnist", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("mapping", "count"), [("fused", 10), ("processes", 2)])
def test_the_trained_network_equals_plain_numpy_step_by_step(example, shared_data, mapping, count):
    folder = shared_data / "nmnist-small"
    with (folder / "labels.csv").open() as file:
        rows = list(csv.DictReader(file))[:count]
    first, second = example.load_weights(folder)
    frames = example.load_frames(folder, [row["file"] for row in rows])
    assert frames.sum() > 3000 * count
    expected = example.numpy_model(first, second, frames)
    graph = example.make_graph(first, second)
    with nirbridge.compile(graph, "lava", precision="fixed", mapping=mapping, timeout=60) as program:
        found = program.run(frames, example.RECORDS).records
    for name in example.RECORDS:
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)
    assert found["class"].sum(axis=0).argmax(axis=1).tolist() == [int(row["label"]) for row in rows]
