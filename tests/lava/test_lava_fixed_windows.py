"""Phase codes, mixed windows and means on integers: what the reference gives, membranes included, in both mappings."""

import nir
import numpy as np
import pytest
from lava_graphs import assert_same, chain, needs_lava

import nirbridge
from nirbridge.ir import MaxPool2d, MultiLevelLIF, PhaseDecode, PhaseEncode, PhaseIF, TemporalMix

pytestmark = needs_lava
MAPPINGS = ("processes", "fused")


def whole(rng, *shape, most=127):
    return rng.integers(-most, most + 1, shape)


def one_spike(rng, spikes=(1, 1), pool=(2, 2, 0)):
    """Pictures in binary code, two layers of single spikes with a pool between them, logits."""
    theta = rng.integers(200, 900, (3, 1, 1))
    return {
        "code": PhaseEncode((2, 6, 6), 8, 2.0, np.array(19)),
        "c1": nir.Conv2d(None, whole(rng, 3, 2, 3, 3), 1, 1, 1, 1, np.zeros(3, int)),
        "s1": PhaseIF((3, 6, 6), 8, 8, 2.0, 1.4, theta, whole(rng, 3, 1, 1, most=30), spikes=spikes[0]),
        "max": MaxPool2d(*pool),
        "c2": nir.Conv2d(None, whole(rng, 5, 3, 3, 3), 1, 1, 1, 1, np.zeros(5, int)),
        "s2": PhaseIF((5, 3, 3), 8, 3, 1.4, 1.4, np.array(300), np.array(-20), spikes=spikes[1]),
        "flat": nir.Flatten(None, 0, -1),
        "fc": nir.Linear(whole(rng, 4, 45)),
        "logits": PhaseDecode((4,), 8, 1.4, whole(rng, 4)),
    }


def several_spikes(rng):
    """The same of two and four spikes, with a pool whose windows overlap."""
    return one_spike(rng, (2, 4), (3, 2, 1))


def lm_ht(rng):
    """Windows of three steps, mixed by weights of their own."""
    act = MultiLevelLIF.uniform((6,), 4, 900, v_init=450)
    return {
        "fc": nir.Affine(whole(rng, 6, 5), whole(rng, 6)),
        "mix": TemporalMix(rng.integers(0, 128, (3, 3))),
        "act": act,
        "out": nir.Affine(whole(rng, 3, 6), whole(rng, 3)),
    }


@pytest.mark.parametrize("mapping", MAPPINGS)
@pytest.mark.parametrize(
    ("make", "record", "shape", "steps"),
    [
        (one_spike, ["code", "s1", "s1:v", "s2", "s2:v", "logits:v"], (2, 6, 6), 3),
        (several_spikes, ["s1", "s1:v", "max", "s2", "s2:v", "logits:v"], (2, 6, 6), 2),
        (lm_ht, ["mix", "act", "act:v"], (5,), 9),
    ],
)
def test_windows_equal_the_reference(mapping, make, record, shape, steps):
    rng = np.random.default_rng(90)
    graph = chain(make(rng), shape)
    x = rng.integers(0, 25, (steps, 3, *shape))
    with nirbridge.compile(graph, precision="fixed") as program:
        expected = program.run(x, record)
    with nirbridge.compile(graph, "lava", precision="fixed", mapping=mapping, timeout=60) as program:
        found = program.run(x, record)
        assert_same(expected, found)
        block = program.plan.block
        program.reset()
        parts = [program.advance(x[t : t + block]).output for t in range(0, steps, block)]
        np.testing.assert_array_equal(np.concatenate(parts), expected.output)
    for name in record:
        assert np.count_nonzero(expected.records[name]), f"{name} is silent"


@pytest.mark.parametrize("mapping", MAPPINGS)
def test_means_are_rounded_toward_zero(mapping):
    x = np.random.default_rng(91).integers(-40, 40, (4, 2, 2, 5, 6))
    graph = chain({"mean": nir.AvgPool2d(np.array([2, 3]), np.array([1, 2]), np.array([1, 0]))}, (2, 5, 6))
    with nirbridge.compile(graph, precision="fixed") as program:
        expected = program.run(x)
    with nirbridge.compile(graph, "lava", precision="fixed", mapping=mapping, timeout=60) as program:
        np.testing.assert_array_equal(program.run(x).output, expected.output)
    assert (expected.output < 0).any()


def test_spikes_of_a_phase_code_cost_additions():
    """Ones need no multiplication, also behind the pool that lets the first of them win."""
    graph = chain(one_spike(np.random.default_rng(92)), (2, 6, 6))
    with nirbridge.compile(graph, "lava", precision="fixed") as program:
        rows = {row.node: (row.process, row.cost) for row in program.lowering}
    assert rows["c1"] == rows["c2"] == ("ConvSynapse", "add")
    assert rows["fc"] == ("MatrixSynapse", "add")
    assert rows["s1"][0] == "PhaseIF"
    assert rows["max"][0] == "FirstSpikePool2d"


@pytest.mark.parametrize("spikes", [1, 3])
@pytest.mark.parametrize("mapping", MAPPINGS)
def test_membranes_of_phase_codes_in_floating_point(mapping, spikes):
    fire = PhaseIF((5,), 6, 4, 2.0, 1.3, 0.75, 0.125, 0, spikes=spikes)
    nodes = {"code": PhaseEncode((5,), 6, 2.0, 8.0), "s": fire}
    graph = chain({**nodes, "y": PhaseDecode((5,), 6, 1.3, 0.5)}, (5,))
    x = np.random.default_rng(93).integers(0, 9, (4, 2, 5)) / 2
    names = ["s", "s:v", "y:v"]
    with nirbridge.compile(graph) as program:
        expected = program.run(x, names)
    with nirbridge.compile(graph, "lava", mapping=mapping, timeout=60) as program:
        assert_same(expected, program.run(x, names))
    codes = expected.records["s:v"].reshape(4, 6, 2, 5)[:, -1]
    np.testing.assert_allclose(codes, 0.125 + 2 * x / 8, atol=2**-5)
    np.testing.assert_array_equal(expected.records["y:v"], expected.output)
