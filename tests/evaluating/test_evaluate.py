"""``nirbridge.evaluate`` on arrays: against plain runs, in pieces, on several cores, interrupted, with bad samples."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest

import nirbridge
from nirbridge.cli.common import require_output
from nirbridge.errors import FileError, InputError, UnsupportedError
from nirbridge.evaluating import Evaluation
from nirbridge.evaluating.journal import SUFFIX, _write
from nirbridge.ir import MultiLevelLIF, PhaseDecode, PhaseEncode, PhaseIF, build_graph
from tests.costing.nets import entry, line
from tests.evaluating.networks import IMAGES, LABELS, W1, W2, small

STEPS = 4


def by_hand(steps: int = STEPS, images: Any = IMAGES) -> Any:
    with nirbridge.compile(small()) as program:
        return program.run(np.stack([images] * steps), record=["n2"])


def evaluate(data: Any = IMAGES, labels: Any = LABELS, **options: Any) -> Evaluation:
    return nirbridge.evaluate(small(), data, labels, **{"steps": STEPS, **options})


def test_decisions_are_those_of_a_run() -> None:
    run, found = by_hand(), evaluate(batch=8)
    scores = run.output.mean(axis=0)
    assert np.array_equal(found.scores, scores)
    assert np.array_equal(found.predictions, scores.argmax(axis=1))
    assert found.correct == int((scores.argmax(axis=1) == LABELS).sum())
    assert (found.samples, found.accuracy) == (53, found.correct / 53)
    assert found.interval[0] < found.accuracy < found.interval[1]
    for step in range(STEPS):
        right = run.output[: step + 1].sum(axis=0).argmax(axis=1) == LABELS
        assert found.by_step[step] == right.mean()
    assert np.array_equal(found.spikes, np.count_nonzero(run.records["n2"], axis=(0, 2)))
    assert found.confusion.sum() == 53
    assert np.trace(found.confusion) == found.correct
    assert found.top(1) == found.accuracy
    assert found.top(4) == 1.0


def test_energy_is_that_of_all_samples_at_once() -> None:
    report = nirbridge.energy(small(), np.stack([IMAGES] * STEPS), model="memory")
    found = evaluate(batch=8, energy={"model": "memory"})
    assert found.cost.pj == pytest.approx(report.pj, rel=1e-12)
    assert found.cost.ann_pj == pytest.approx(report.ann_pj, rel=1e-12)
    assert evaluate(activity=False).cost is None
    assert evaluate(activity=False).spikes is None


@pytest.mark.parametrize("order", ["nt", "tn"])
def test_frames_with_either_order_of_axes(order: str) -> None:
    frames = np.random.default_rng(1).integers(0, 3, (STEPS, 53, 2, 3)) * 0.5
    with nirbridge.compile(small()) as program:
        scores = program.run(frames).output.mean(axis=0)
    data = frames if order == "tn" else frames.swapaxes(0, 1)
    assert np.array_equal(nirbridge.evaluate(small(), data, LABELS, batch=10).scores, scores)
    assert np.array_equal(nirbridge.evaluate(small(), data, order=order, batch=10).scores, scores)


def phase_net() -> Any:
    return line(
        PhaseEncode((6,), 6), nir.Linear(W1 / 8), PhaseIF((8,), 6, 4, 1.5, 1.5, 1.0, 0.0), nir.Linear(W2),
        PhaseDecode((4,), 6, 1.5, 0.0), entry=entry(6), leaves=(4,),
    )  # fmt: skip


def test_a_phase_code_says_its_steps_and_is_read_at_their_end() -> None:
    images = IMAGES.reshape(53, 6) / 2
    found = nirbridge.evaluate(phase_net(), images, LABELS, batch=20)
    with nirbridge.compile(phase_net()) as program:
        output = program.run(images[None]).output
    assert np.array_equal(found.scores, output[-1])
    assert len(found.by_step) == 6
    two = nirbridge.evaluate(phase_net(), np.stack([images, images[::-1]]), LABELS, batch=20)
    with nirbridge.compile(phase_net()) as program:
        output = program.run(np.stack([images, images[::-1]])).output
    assert np.array_equal(two.scores, (output[5] + output[11]) / 2)
    twice = nirbridge.evaluate(phase_net(), images, LABELS, steps=2)
    assert "2 input steps run 12 steps, 6 phases each; one inference is without --steps" in twice.notes[0]
    assert not any("phases each" in note for net in (found, two) for note in net.notes)


def test_bytes_are_scaled_when_asked_and_said_when_not() -> None:
    told: list[str] = []
    pixels = (IMAGES * 100).astype(np.uint8)
    scaled = evaluate(pixels, scale=0.01)
    with nirbridge.compile(small()) as program:
        expected = program.run(np.stack([pixels * np.float32(0.01)] * STEPS)).output.mean(axis=0)
    assert np.array_equal(scaled.scores, expected)
    halves = evaluate((IMAGES * 100).astype(np.float16), scale=0.01)
    assert np.array_equal(halves.scores, expected)
    assert evaluate(np.full((2, 2, 3), 60000, np.float16), LABELS[:2], scale=4).bad == {}
    plain = evaluate(pixels, tell=told.append)
    assert not np.array_equal(plain.scores, expected)
    assert any("--scale 1/255" in line for line in told)


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".npz spilled"])
def test_files_are_read_a_piece_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str) -> None:
    path = tmp_path / f"x{suffix.split()[0]}"
    if suffix == ".npy":
        np.save(path, IMAGES)
        np.save(tmp_path / "y.npy", LABELS)
        found = evaluate(path, tmp_path / "y.npy", batch=9)
    else:
        if "spilled" in suffix:
            monkeypatch.setattr("nirbridge.evaluating.array_sources._IN_MEMORY", 16)
        np.savez_compressed(path, images=IMAGES, labels=LABELS)
        found = evaluate(path, None, batch=9)
    assert np.array_equal(found.scores, evaluate(batch=9).scores)
    assert found.correct == evaluate().correct


def test_nir_data_are_taken(tmp_path: Path) -> None:
    frames = np.random.default_rng(3).integers(0, 2, (5, STEPS, 6)).astype(float)
    nir.write_data(
        tmp_path / "x.nird",
        nir.NIRGraphData({"input": nir.NIRNodeData({"values": nir.TimeGriddedData(frames, 1e-3)})}),
    )
    found = nirbridge.evaluate(small(), tmp_path / "x.nird", LABELS[:5])
    expected = nirbridge.evaluate(small(), frames.reshape(5, STEPS, 2, 3), LABELS[:5])
    assert np.array_equal(found.scores, expected.scores)
    with pytest.raises(InputError, match="'nt' is not how file .*x.nird' holds its steps"):
        nirbridge.evaluate(small(), tmp_path / "x.nird", order="nt")


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def without_time(path: Path) -> list[dict[str, str]]:
    return [{name: cell for name, cell in row.items() if name != "milliseconds"} for row in rows(path)]


def test_a_row_a_sample(tmp_path: Path) -> None:
    found = evaluate(output=tmp_path / "p.csv", batch=8)
    table = rows(tmp_path / "p.csv")
    assert list(table[0])[:5] == ["index", "file", "label", "prediction", "margin"]
    for number, row in enumerate(table):
        assert (int(row["index"]), int(row["label"])) == (number, LABELS[number])
        assert int(row["prediction"]) == found.predictions[number]
        assert [float(row[f"score_{n}"]) for n in range(4)] == found.scores[number].tolist()
        assert float(row["margin"]) == found.margins[number]
        assert int(row["spikes"]) == found.spikes[number]
    assert sorted(tmp_path.iterdir()) == [tmp_path / "p.csv"]


def test_parquet_holds_the_same(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    found = evaluate(output=tmp_path / "p.parquet", batch=8)
    table = parquet.read_table(tmp_path / "p.parquet").to_pydict()
    assert table["prediction"] == found.predictions.tolist()
    assert table["score_2"] == found.scores[:, 2].tolist()


class StopError(Exception):
    pass


def interrupted(output: Path, at: int, **options: Any) -> None:
    def progress(done: int, total: int) -> None:
        if done >= at:
            raise StopError

    with pytest.raises(StopError):
        evaluate(output=output, batch=8, progress=progress, **options)


def test_an_interrupted_evaluation_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = evaluate(output=tmp_path / "whole.csv", batch=8)
    interrupted(tmp_path / "p.csv", 24)
    journal = tmp_path / f"p.csv{SUFFIX}"
    assert not (tmp_path / "p.csv").exists()
    with journal.open("a") as file:
        file.write('{"first": 24, "predic')  # as a killed process leaves it
    judged: list[int] = []
    work = nirbridge.evaluating.running.judge_piece

    def counting(judges: Any, piece: Any) -> Any:
        judged.append(piece.first)
        return work(judges, piece)

    monkeypatch.setattr("nirbridge.evaluating.running.judge_piece", counting)
    found = evaluate(output=tmp_path / "p.csv", batch=8)
    assert judged == [24, 32, 40, 48]
    assert found.resumed == 24
    assert without_time(tmp_path / "p.csv") == without_time(tmp_path / "whole.csv")
    mine, theirs = found.to_dict(), whole.to_dict()
    for name in ("seconds", "milliseconds", "samples_a_second", "resumed"):
        del mine[name], theirs[name]
    assert mine == theirs
    assert not journal.exists()


def test_a_journal_of_something_else_is_refused(tmp_path: Path) -> None:
    interrupted(tmp_path / "p.csv", 16)
    with pytest.raises(InputError, match="another data.*--restart"):
        evaluate(IMAGES + 0.25, output=tmp_path / "p.csv", batch=8)
    with pytest.raises(InputError, match="another batch"):
        evaluate(output=tmp_path / "p.csv", batch=9)
    assert evaluate(output=tmp_path / "p.csv", batch=9, restart=True).resumed == 0
    journal = tmp_path / f"p.csv{SUFFIX}"
    interrupted(tmp_path / "p.csv", 24)
    head, *pieces = journal.read_text().splitlines(keepends=True)
    for changed in ([pieces[0].replace('"first": 0', '"first": 1'), *pieces[1:]], ["7\n"], ["[]\n"], pieces[1:]):
        assert changed != pieces
        journal.write_text("".join([head, *changed]))
        with pytest.raises(FileError, match="is damaged.*--restart"):
            evaluate(output=tmp_path / "p.csv", batch=8)
    journal.write_text("no journal\nat all\n")
    with pytest.raises(FileError, match="is no journal"):
        evaluate(output=tmp_path / "p.csv")


def test_a_journal_knows_every_judge(tmp_path: Path) -> None:
    """Decisions of two baselines, or of two settings of a second runtime, are never mixed."""
    torch = pytest.importorskip("torch")
    spec = tmp_path / "ann.py"
    spec.write_text(
        "from torch import nn\n"
        "def one():\n    return nn.Sequential(nn.Flatten(), nn.Linear(6, 4))\n"
        "def other():\n    return nn.Sequential(nn.Flatten(), nn.Linear(6, 4))\n"
    )
    torch.save(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(6, 4)).state_dict(), tmp_path / "w.pt")
    made = {"baseline": f"{spec}:one", "baseline_weights": tmp_path / "w.pt"}
    interrupted(tmp_path / "p.csv", 16, **made)
    for change in ({"baseline": f"{spec}:other"}, {"baseline_weights": None}, {"integrator": "euler"}):
        with pytest.raises(InputError, match="another graph or options"):
            evaluate(output=tmp_path / "p.csv", batch=8, **{**made, **change})
    assert evaluate(output=tmp_path / "p.csv", batch=8, **made).resumed == 16
    interrupted(tmp_path / "p.csv", 16, **made)
    spec.write_text(spec.read_text() + "# changed\n")
    with pytest.raises(InputError, match="another graph or options"):
        evaluate(output=tmp_path / "p.csv", batch=8, **made)


def test_what_is_kept_is_said_when_it_ends_early_and_when_it_goes_on(tmp_path: Path) -> None:
    told: list[str] = []
    interrupted(tmp_path / "p.csv", 24, tell=told.append)
    assert told[-1].endswith("p.csv.partial': keeps 24 samples of 53; the same call goes on from there.")
    told.clear()
    evaluate(output=tmp_path / "p.csv", batch=8, tell=told.append)
    assert told[-1].endswith("p.csv.partial': goes on behind 24 samples that an earlier run finished.")


def test_a_picture_without_labels_is_refused_before_the_work(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no confusion to draw"):
        evaluate(
            labels=None, output=tmp_path / "p.csv", plot=tmp_path / "p.png", progress=lambda *_: pytest.fail("ran")
        )
    with pytest.raises(FileError, match="does not exist"):
        evaluate(plot=tmp_path / "nowhere" / "p.png", progress=lambda *_: pytest.fail("ran"))


def test_a_picture_that_nothing_can_draw_is_refused_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nirbridge.pictures.libraries.find_spec", lambda name: None)
    with pytest.raises(InputError, match="needs matplotlib"):
        evaluate(plot=tmp_path / "p.png", progress=lambda *_: pytest.fail("ran"))
    with pytest.raises(InputError, match="needs matplotlib"):
        require_output(tmp_path / "p.png", ".png")


def test_bad_samples_are_counted_and_named() -> None:
    broken = IMAGES.copy()
    broken[[3, 17], 0, 1] = np.nan, np.inf
    found, clean = evaluate(broken, batch=8), evaluate(batch=8)
    assert sorted(found.bad) == [3, 17]
    assert found.samples == 51
    kept = np.setdiff1d(np.arange(53), [3, 17])
    assert np.array_equal(found.predictions[kept], clean.predictions[kept])
    assert found.predictions[[3, 17]].tolist() == [-1, -1]
    assert found.correct == int((clean.predictions == LABELS)[kept].sum())
    assert found.by_step[-1] == found.accuracy
    assert "2 bad samples left out" in found.table()
    with pytest.raises(InputError, match="sample 3: holds NaN or infinity"):
        evaluate(broken, batch=8, bad="error")
    with pytest.raises(InputError, match="nor can any other"):
        evaluate(np.full_like(IMAGES, np.nan))


def test_a_bad_sample_of_an_earlier_run_ends_the_evaluation_too(tmp_path: Path) -> None:
    broken = IMAGES.copy()
    broken[3] = np.nan
    interrupted(tmp_path / "p.csv", 24, data=broken)
    with pytest.raises(InputError, match="sample 3: holds NaN or infinity"):
        evaluate(broken, batch=8, bad="error", output=tmp_path / "p.csv")
    assert evaluate(broken, batch=8, output=tmp_path / "p.csv").resumed == 24


def test_a_full_disk_is_told_with_the_name_of_the_file() -> None:
    with pytest.raises(FileError, match=r"p\.partial.*No space left"), open("/dev/full", "w") as file:  # noqa: PTH123
        _write(file, {"a": 1}, Path("p.partial"))


def test_nothing_is_kept_where_nothing_was_finished(tmp_path: Path) -> None:
    broken = np.concatenate([np.full_like(IMAGES[:1], np.nan), IMAGES[1:]])
    with pytest.raises(InputError, match="sample 0"):
        evaluate(broken, batch=8, bad="error", output=tmp_path / "p.csv")
    assert list(tmp_path.iterdir()) == []


def test_other_runtimes_and_the_network_it_came_from_decide_too(tmp_path: Path) -> None:
    pytest.importorskip("norse")
    other = small()
    other.nodes["n3"].weight = -np.asarray(other.nodes["n3"].weight)
    found = evaluate(others=["norse"], baseline=other, batch=16, output=tmp_path / "p.csv")
    assert found.differing("norse") == 0
    opposite = nirbridge.evaluate(other, IMAGES, LABELS, steps=STEPS)
    assert found.accuracy_of("baseline") == opposite.accuracy
    assert found.differing("baseline") == int((opposite.predictions != found.predictions).sum())
    assert [int(row["prediction_baseline"]) for row in rows(tmp_path / "p.csv")] == opposite.predictions.tolist()
    assert found.to_dict()["others"]["norse"] == {"accuracy": found.accuracy, "differing": 0}


def test_a_module_is_a_baseline(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    (tmp_path / "ann.py").write_text(
        "from torch import manual_seed, nn\n"
        "def net():\n    manual_seed(0)\n    return nn.Sequential(nn.Flatten(), nn.Linear(6, 4))\n"
    )
    found = evaluate(baseline=f"{tmp_path / 'ann.py'}:net", batch=16)
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(6, 4))
    expected = module(torch.tensor(IMAGES, dtype=torch.float32)).argmax(1).numpy()
    assert np.array_equal(found.all_predictions["baseline"], expected)


def test_processes_give_the_same_bits_in_the_same_order(tmp_path: Path) -> None:
    one = evaluate(output=tmp_path / "one.csv", batch=8, runtime="reference")
    two = evaluate(output=tmp_path / "two.csv", batch=8, runtime="reference", jobs=2)
    assert without_time(tmp_path / "one.csv") == without_time(tmp_path / "two.csv")
    assert one.cost == two.cost


def test_without_labels_there_are_decisions_alone(tmp_path: Path) -> None:
    found = evaluate(labels=None, output=tmp_path / "p.csv")
    assert (found.accuracy, found.interval, found.confusion, found.by_step) == (None, None, None, None)
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["accuracy"] is None
    assert "no labels" in found.table()
    assert {row["label"] for row in rows(tmp_path / "p.csv")} == {""}
    with pytest.raises(InputError, match="no confusion to draw"):
        found.draw(tmp_path / "p.png")
    with pytest.raises(InputError, match="ends with '.pdf', expected '.png'"):
        evaluate().draw(tmp_path / "p.pdf")
    assert not (tmp_path / "p.pdf").exists()


def test_why_there_is_no_energy_is_said() -> None:
    """No layer of weights, so no synaptic operations: nothing is priced, and the reader is told."""
    found = nirbridge.evaluate(line(entry=entry(4), leaves=(4,)), np.eye(4), np.arange(4), steps=1)
    assert (found.accuracy, found.cost) == (1.0, None)
    assert any(note.startswith("No energy is counted: graph: ") for note in found.notes)
    assert not any("No energy" in note for note in evaluate().notes)


def five_classes() -> nir.NIRGraph:
    flat = nir.Flatten({"input": np.array([2, 3])}, 0, -1)
    return line(flat, nir.Linear(np.ones((5, 6))), entry=entry(2, 3), leaves=(5,))


@pytest.mark.parametrize(
    ("change", "error", "found"),
    [
        ({"labels": LABELS[:9]}, InputError, "labels: 9 classes for 53 samples"),
        ({"labels": LABELS + 1}, InputError, "labels: class 4 is not within 0..3"),
        ({"labels": LABELS * 1.0}, InputError, "expected whole numbers [N]"),
        ({"labels": np.array(1)}, InputError, "int64 of shape (), expected whole numbers [N]"),
        ({"steps": None}, InputError, "does not say for how many steps still images are shown"),
        *(({name: 0}, InputError, f"'{name}': 0 is no whole") for name in ("batch", "samples", "steps", "jobs")),
        *(({name: 2.5}, InputError, f"'{name}': 2.5 is no whole") for name in ("batch", "samples", "steps", "jobs")),
        ({"steps": -1}, InputError, "'steps': -1 is no whole number"),
        ({"order": "xy"}, InputError, "option 'order': 'xy' is not among 'nt', 'tn'"),
        ({"scale": 0}, InputError, "option 'scale': 0 is no finite number besides 0"),
        ({"scale": "1/255"}, InputError, "option 'scale': '1/255' is no finite number"),
        ({"energy": {"model": "x"}}, InputError, "option 'model': 'x' is not among"),
        ({"energy": {"bit": 8}}, InputError, "option 'energy': 'bit' is not among 'model', 'bits', 'input_kind'"),
        ({"energy": {"bits": 8}, "activity": False}, InputError, "option 'bits': is of the energy, for which the"),
        ({"baseline": 3}, InputError, "baseline: is a int, expected a graph"),
        ({"others": "reference"}, InputError, "name one twice"),
        ({"bad": "ignore"}, InputError, "'ignore' is not among"),
        ({"data": "nowhere.npy"}, FileError, "does not exist"),
        ({"data": "nmnist"}, InputError, "--root"),
        ({"data": {"input": IMAGES, "other": IMAGES}}, InputError, "the graph's inputs are input"),
        ({"encoding": {"window": 1000}}, InputError, "option 'window': does not go with"),
        ({"restart": True}, InputError, "option 'restart': goes with an output"),
        ({"labels": np.ma.masked_equal(LABELS, 1)}, InputError, "labels: "),
        ({"baseline": five_classes()}, InputError, "'baseline': gives scores of 5 classes, 'reference' of 4"),
        ({"output": "p.txt"}, InputError, "expected .csv or .parquet"),
        ({"plot": "p.svg"}, InputError, "file 'p.svg': ends with '.svg', expected '.png'"),
        ({"others": ["reference"]}, InputError, "name one twice"),
        ({"mapping": "fused"}, UnsupportedError, "no runtime of reference knows it"),
        ({"baseline_weights": "w.pt"}, InputError, "goes with a baseline"),
        ({"data": IMAGES.astype(object)}, InputError, "expected real numbers"),
    ],
)
def test_what_does_not_fit_is_one_line(change: dict[str, Any], error: type[Exception], found: str) -> None:
    with pytest.raises(error) as caught:
        evaluate(**change)
    assert found in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_array_for_several_inputs_is_said_to_lack_a_name() -> None:
    nodes = {name: nir.Input(np.array([4])) for name in ("left", "right")}
    nodes |= {"act": MultiLevelLIF.one_hot((4,), 2), "output": nir.Output(None)}
    graph = build_graph(nodes, [("left", "act"), ("right", "act"), ("act", "output")])
    with pytest.raises(InputError, match="data: holds an array without a name, the graph's inputs are left, right"):
        nirbridge.evaluate(graph, np.zeros((3, 4)), steps=2)
