"""Networks against labelled data: decisions, latency, families, still images, and energies from first principles."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import nir
import numpy as np
import pytest

import nirbridge
from nirbridge.costing.latency import latency_steps
from nirbridge.errors import GraphWarning, InputError
from nirbridge.evaluating import candidate, distinct_names, sweep
from nirbridge.evaluating.sweep import family_of
from nirbridge.ir import MultiLevelLIF, PhaseDecode, PhaseEncode, PhaseIF, TemporalMix
from nirbridge.runtime import make_plan
from tests.costing.nets import entry, line, net

RNG = np.random.default_rng(5)
W1, W2 = RNG.integers(-2, 5, (6, 4)) * 0.25, RNG.integers(-3, 4, (3, 6)) * 0.25
IMAGES = RNG.integers(0, 5, (40, 4)) * 0.25
LABELS = RNG.integers(0, 3, 40)


def mlif(lanes: int) -> nir.NIRGraph:
    return line(nir.Linear(W1), MultiLevelLIF.one_hot((6,), lanes), nir.Linear(W2), entry=entry(4), leaves=(3,))


def by_hand(lanes: int, steps: int) -> tuple[float, float, float]:
    """Accuracy, energy of model "m-lif" and of model "memory" in pJ, straight from the papers' formulas."""
    current = IMAGES @ W1.T
    v, scores = np.zeros_like(current), np.zeros((len(IMAGES), 3))
    events = values = 0
    for _ in range(steps):
        u = v + current
        lane = sum((u > 2.0**s).astype(int) for s in range(lanes))
        y = np.where(lane > 0, 2.0 ** (lane - 1), 0)
        v = u - y
        events, values = events + np.count_nonzero(y), values + y.sum()
        scores += y @ W2.T
    events, values = events / len(IMAGES), values / len(IMAGES)
    plain = 4.6 * 4 * 6 + 0.9 * events * 3

    def ram(words: int) -> float:
        return 1.09e-5 * 32 * words + 13.2

    # Pixels are analog and still: one dense evaluation, its 6 results written once and read at every step.
    memory = 4 * ram(4) + 24 * ram(24) + 6 * ram(6) + 24 * 3.2 + 6 * steps * ram(6)
    memory += 2 * 6 * steps * ram(6) + 6 * steps * 0.1 + events * (ram(0) + 0.1)  # 6 membranes, no leak; their spikes
    memory += events * ram(0) + 3 * events * ram(18) + 2 * 3 * events * ram(3) + 3 * values * 0.1  # into the last layer
    memory += 2 * 3 * steps * ram(3) + 3 * steps * 0.1 + 3 * ram(0)  # which keeps 3 sums at every step and sends them
    return float((scores.argmax(1) == LABELS).mean()), plain, memory


@pytest.mark.parametrize(("lanes", "steps"), [(1, 1), (1, 4), (3, 1), (3, 3)])
def test_a_network_by_hand(lanes: int, steps: int) -> None:
    accuracy, plain, memory = by_hand(lanes, steps)
    made = candidate("net", mlif(lanes), IMAGES, LABELS, steps=steps)
    for model, expected in (("m-lif", plain), ("memory", memory)):
        (found,) = sweep([made], model).outcomes
        assert found.report.pj == pytest.approx(expected, rel=1e-12)
        assert (found.accuracy, found.latency, found.steps) == (accuracy, steps, steps)
        assert found.report.ann_pj == nirbridge.energy(mlif(lanes), np.stack([IMAGES] * steps), model=model).ann_pj
        assert (found.label, found.group) == (f"T={steps}", f"M-LIF S={lanes}")


def test_still_images_are_frames_of_equal_steps() -> None:
    still = candidate("a", mlif(2), IMAGES, LABELS, steps=3)
    frames = candidate("a", mlif(2), np.stack([IMAGES] * 3), LABELS)
    assert sweep([still], "memory").to_dict() == sweep([frames], "memory").to_dict()


def test_samples_limit_both_data_and_labels() -> None:
    few = candidate("a", mlif(2), IMAGES, LABELS, steps=2, samples=33)
    assert few.samples == 33
    assert sweep([few]).outcomes == sweep([candidate("a", mlif(2), IMAGES[:33], LABELS[:33], steps=2)]).outcomes


def test_what_is_said_about_the_data_names_the_network() -> None:
    images = (IMAGES * 4).astype(np.uint8)
    part = candidate("a", nirbridge.quantize(mlif(1)), images, np.sort(LABELS), steps=2, samples=2, scale=0.3)
    with pytest.warns(GraphWarning) as said:
        sweep([part, candidate("b", mlif(1), images, LABELS, steps=2)])
    told = [str(warning.message) for warning in said]
    assert [line.split(",")[0] for line in told] == [
        "network 'a': The first 2 of 40 samples hold 1 of 3 classes.",
        "network 'a': node 'input_quantize' (Quantize): 12 of 16 values (75.00%) are no whole numbers and were rounded",
        "network 'b': input: bytes are taken as they are",
    ]


def test_progress_counts_every_sample() -> None:
    counts: list[int] = []
    sweep([candidate("a", mlif(2), IMAGES, LABELS, steps=1)], progress=counts.append)
    assert len(counts) > 1
    assert sum(counts) == 40


def phase_net() -> nir.NIRGraph:
    return line(
        PhaseEncode((4,), 6),
        nir.Linear(W1 / 8),
        PhaseIF((6,), 6, 5, 2.0, 1.5, 1.0, 0.0),
        nir.Linear(np.eye(6)),
        PhaseIF((6,), 6, 4, 1.5, 1.5, 1.0, 0.0),
        nir.Linear(W2),
        PhaseDecode((3,), 6, 1.5, 0.0),
        entry=entry(4),
        leaves=(3,),
    )


def test_a_phase_code_decides_at_the_end_of_its_window() -> None:
    (found,) = sweep([candidate("a", phase_net(), IMAGES / 2, LABELS)], "one-spike").outcomes
    with nirbridge.compile(phase_net()) as program:
        output = program.run(IMAGES[None] / 2).output
    assert output.shape == (6, 40, 3)
    assert found.accuracy == (output[-1].argmax(1) == LABELS).mean()
    assert found.report.inferences == 1
    assert (found.steps, found.latency, found.group) == (6, 6 + 5 + 4, "One-Spike Q=1.5")


def test_several_spikes_are_a_group_of_their_own() -> None:
    graph = line(PhaseEncode((2,), 4), PhaseIF((2,), 4, 4, 2.0, 1.5, 1.0, 0.0, spikes=3), entry=entry(2))
    assert family_of(make_plan(graph)) == "3-Spike Q=1.5"


def test_the_longest_path_waits() -> None:
    """A shortcut does not shorten the latency."""
    unit = PhaseIF((2,), 4, 3, 2.0, 2.0, 1.0, 0.0)
    nodes = {"input": entry(2), "code": PhaseEncode((2,), 4), "a": unit, "b": unit, "fc": nir.Linear(np.eye(2))}
    plan = make_plan(net(nodes, "input code a b fc output", "a fc"))
    assert latency_steps(plan, 1) == 4 + 3 + 3


def test_latency_is_that_of_the_conversion() -> None:
    torch = pytest.importorskip("torch")
    from nirbridge.converting import convert_in_full

    torch.manual_seed(0)
    ann = torch.nn.Sequential(
        torch.nn.Linear(4, 6), torch.nn.ReLU(), torch.nn.Linear(6, 5), torch.nn.ReLU(), torch.nn.Linear(5, 3)
    )
    made = convert_in_full(ann.double(), IMAGES, phases=8, base=1.4, wait=5)
    (found,) = sweep([candidate("a", made.graph, IMAGES, LABELS)], "one-spike").outcomes
    assert found.latency == made.latency.pipelined() == made.latency.sequential()
    assert found.group == "One-Spike Q=1.4"


def test_a_mixing_over_time_says_its_steps() -> None:
    graph = line(
        nir.Linear(W1), TemporalMix(np.full((3, 3), 1 / 3)), MultiLevelLIF.uniform((6,), 2, 1.0), nir.Linear(W2),
        entry=entry(4), leaves=(3,),
    )  # fmt: skip
    (found,) = sweep([candidate("a", graph, IMAGES, LABELS)]).outcomes
    assert (found.steps, found.latency, found.label, found.group) == (3, 3, "T=3", "LM-HT L=2")


@pytest.mark.parametrize(
    ("nodes", "name"),
    [
        ([MultiLevelLIF.uniform((6,), 4, 1.0)], "ML-IF N=4"),
        ([MultiLevelLIF.uniform((6,), 2, 1.0)], "ML-IF N=2"),
        ([MultiLevelLIF.one_hot((6,), 2)], "M-LIF S=2"),
        ([MultiLevelLIF.one_hot((6,), 4, scaled=True)], "M-LIF S=4"),
        ([nir.IF(np.ones(6), np.ones(6), np.zeros(6))], "IF"),
        ([nir.Threshold(np.ones(6)), MultiLevelLIF.one_hot((6,), 2)], "Threshold and M-LIF S=2"),
        ([MultiLevelLIF.one_hot((6,), n) for n in (2, 3, 4)], "mixed neurons"),
        ([], ""),
    ],
)
def test_families(nodes: list[nir.NIRNode], name: str) -> None:
    assert family_of(make_plan(line(nir.Linear(W1), *nodes, entry=entry(4)))) == name


def beats(one: dict[str, float], other: dict[str, float]) -> bool:
    a, b = ((-row["accuracy"], row["energy_pj"], row["latency"]) for row in (one, other))
    return a != b and all(x <= y for x, y in zip(a, b, strict=True))


def test_the_frontier_of_a_sweep() -> None:
    grid = list(itertools.product((1, 2, 3), (1, 3)))
    made = [candidate(f"t{t}s{s}", mlif(s), IMAGES, LABELS, steps=t) for t, s in grid]
    found = sweep(made, "memory")
    data = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    rows = data["networks"]
    for row in rows:
        better = [other for other in rows if beats(other, row)]
        assert row["on_frontier"] == (not better)
        assert (row["dominated_by"] is None) == row["on_frontier"]
        assert row["dominated_by"] in {None, *(o["network"] for o in better if o["on_frontier"])}
    table = found.table().splitlines()
    assert [text.split()[0] for text in table[1:7]] == [f"t{t}s{s}" for t, s in grid]
    assert sum("on the frontier" in text for text in table[1:7]) == len(found.frontier)


def test_equal_labels_of_a_group_get_their_names() -> None:
    made = [candidate(name, mlif(2), IMAGES, LABELS, steps=2) for name in ("a", "b")]
    assert [o.label for o in sweep(made).outcomes] == ["T=2 a", "T=2 b"]
    named = candidate("c", mlif(2), IMAGES, LABELS, steps=2, label="early", group="mine")
    (only,) = sweep([named]).outcomes
    assert (only.label, only.group) == ("early", "mine")


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"steps": None}, "graph: does not say for how many steps still images are shown"),
        (
            {"x": IMAGES[:, :2]},
            "shape (40, 2) does not fit, expected still images [N, 4] or frames [N, T, 4]",
        ),
        ({"x": IMAGES[:0]}, "holds no sample or no value"),
        ({"x": np.stack([IMAGES] * 2), "steps": 3}, "holds 2 steps, but 3 are asked for"),
        ({"labels": LABELS[:7]}, "labels: 7 classes for 40 samples"),
        ({"labels": LABELS + 1}, "labels: class 3 is not within 0..2"),
        ({"labels": LABELS - 1}, "labels: class -1 is not within 0..2"),
        ({"labels": LABELS * 1.0}, "expected whole numbers [N]"),
        ({"labels": LABELS[None]}, "expected whole numbers [N]"),
        ({"labels": np.array(1)}, "int64 of shape (), expected whole numbers [N]"),
        ({"samples": 0}, "0 is no number from 1 on"),
        ({"graph": line(nir.Linear(W1), entry=entry(2, 4))}, "one score for each class"),
    ],
)
def test_what_does_not_fit_is_one_line(change: dict[str, object], found: str) -> None:
    given = {"graph": mlif(2), "x": IMAGES, "labels": LABELS, "steps": 2} | change
    with pytest.raises(InputError) as caught:
        candidate("a", **given)
    assert found in str(caught.value)
    assert "\n" not in str(caught.value)


def test_names_are_what_tells_paths_apart() -> None:
    assert distinct_names([Path("a/T1/model.nir"), Path("a/T2/model.nir")]) == ["T1", "T2"]
    assert distinct_names([Path("a/x.nir"), Path("b/y.nir")]) == ["a/x", "b/y"]
    assert distinct_names([Path("a/x.nir")]) == ["x"]
    assert distinct_names([Path("x.nir"), Path("x.nir")]) == ["x", "x"]
    assert distinct_names([Path("a/x.nir"), Path("a/x.nir")]) == ["x", "x"], "not a"
