"""``nirbridge.evaluate`` on event recordings: each has its own length, whatever runs beside it."""

from __future__ import annotations

import shutil
from pathlib import Path

import nir
import numpy as np
import pytest

import nirbridge
from nirbridge.errors import FileError, InputError
from nirbridge.ir import MultiLevelLIF
from nirbridge_events import encode, open_recording
from tests.costing.nets import entry
from tests.evaluating.networks import on_events, recordings, small


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return recordings(tmp_path / "data")


def alone(path: Path) -> np.ndarray:
    """The mean output of one recording that runs by itself."""
    frames = encode(open_recording(path, (4, 4)), window=1000, coding="count")
    with nirbridge.compile(on_events()) as program:
        return program.run(frames[:, None]).output.mean(axis=0)[0]


@pytest.mark.parametrize("batch", [1, 3, 7])
def test_each_recording_is_judged_as_if_alone(folder: Path, batch: int) -> None:
    found = nirbridge.evaluate(on_events(), folder, batch=batch)
    paths = [Path(name) for name in found.files]
    assert [int(path.parent.name) for path in paths] == found.labels.tolist() == [0, 0, 0, 0, 2, 2, 2]
    assert len(set(found.steps.tolist())) > 2
    for number, path in enumerate(paths):
        assert np.array_equal(found.scores[number], alone(path))
    right = np.array([alone(path).argmax() for path in paths]) == found.labels
    assert found.accuracy == right.mean() == found.by_step[-1]


def test_energy_and_spikes_do_not_depend_on_the_batch(folder: Path) -> None:
    one, all_ = (nirbridge.evaluate(on_events(), folder, batch=batch) for batch in (1, 7))
    assert np.array_equal(one.spikes, all_.spikes)
    assert one.cost.pj == pytest.approx(all_.cost.pj, rel=1e-12)
    frames = [encode(open_recording(name, (4, 4)), window=1000, coding="count") for name in one.files]
    alone = [nirbridge.energy(on_events(), each[:, None], input_kind="events").pj for each in frames]
    assert one.cost.pj == pytest.approx(np.mean(alone), rel=1e-12)


def test_steps_cut_and_fill(folder: Path) -> None:
    found = nirbridge.evaluate(on_events(), folder, steps=2)
    assert found.steps.tolist() == [2] * 7
    assert found.lost
    assert all("beyond 2 were cut off" in text for text in found.lost.values())
    assert found.to_dict()["lost_samples"] == {str(number): text for number, text in found.lost.items()}


def test_filters_take_events_out_and_say_how_many(folder: Path) -> None:
    from nirbridge_events.filters import parse_filter

    filters = [parse_filter("polarity=on", int)]
    found = nirbridge.evaluate(on_events(), folder, batch=3, reading={"filters": filters})
    removed = sum(int((np.load(path)["p"] == 0).sum()) for path in folder.rglob("*.npy"))
    assert f"filter polarity=on: {removed} of 420 events were taken out ({removed / 420:.1%})." in found.notes
    frames = encode(open_recording(found.files[0], (4, 4), filters=filters), window=1000, coding="count")
    with nirbridge.compile(on_events()) as program:
        assert np.array_equal(found.scores[0], program.run(frames[:, None]).output.mean(axis=0)[0])


def test_a_table_of_labels(folder: Path, tmp_path: Path) -> None:
    flat = tmp_path / "flat"
    flat.mkdir()
    lines = ["file,label"]
    for path in sorted(folder.rglob("*.npy")):
        shutil.copy(path, flat / path.name)
        lines.append(f"{path.name},{path.parent.name}")
    (flat / "labels.csv").write_text("\n".join(lines))
    by_table, by_folder = nirbridge.evaluate(on_events(), flat), nirbridge.evaluate(on_events(), folder)
    assert sorted(by_table.labels.tolist()) == [0, 0, 0, 0, 2, 2, 2]
    assert by_table.correct == by_folder.correct
    (flat / "below").mkdir()
    with pytest.raises(FileError, match="where the labels are"):
        nirbridge.evaluate(on_events(), flat / "below")


def test_classes_with_names_are_numbered_in_order_and_said(folder: Path) -> None:
    told: list[str] = []
    (folder / "0").rename(folder / "left")
    (folder / "2").rename(folder / "right")
    found = nirbridge.evaluate(on_events(), folder, tell=told.append)
    assert sorted(set(found.labels.tolist())) == [0, 1]
    assert "classes are numbered in the order of their names: 0 left, 1 right." in told


def test_a_bad_recording_is_counted_and_named(folder: Path, tmp_path: Path) -> None:
    (folder / "0" / "2.npy").write_bytes(b"\x93NUMPY\x01\x00 broken")
    (folder / "2" / "9.bin").write_bytes(b"")
    found = nirbridge.evaluate(on_events(), folder, batch=3, output=tmp_path / "p.csv")
    assert len(found.bad) == 2
    assert found.samples == 6
    assert "2.npy" in found.bad[1]
    assert "9.bin" in found.bad[7]
    with pytest.raises(InputError, match=r"sample 1: file .*2\.npy"):
        nirbridge.evaluate(on_events(), folder, batch=3, bad="error")


def test_a_graph_without_event_input_takes_an_encoding(folder: Path) -> None:
    graph = on_events()
    graph.nodes["input"] = entry(2, 4, 4)
    encoding = {"window": 1000, "coding": "count", "sensor_size": (4, 4)}
    assert type(graph.nodes["input"]) is nir.Input
    plain = nirbridge.evaluate(graph, folder, encoding=encoding)
    assert np.array_equal(plain.scores, nirbridge.evaluate(on_events(), folder).scores)
    with pytest.raises(InputError, match="'window' and 'coding': are missing"):
        nirbridge.evaluate(graph, folder)
    with pytest.raises(InputError, match="contradicts the EventInput"):
        nirbridge.evaluate(on_events(), folder, encoding=encoding)
    with pytest.raises(InputError, match="takes 2x3, frames are 2x4x4"):
        nirbridge.evaluate(small(), folder, encoding=encoding)


def test_steps_of_another_length_than_the_windows_are_told(folder: Path) -> None:
    """A graph without time constants has no steps of a length."""
    graph = on_events()
    node = graph.nodes["input"]
    told: list[str] = []
    how = {"encoding": {"window": 2000, "coding": "count", "sensor_size": (4, 4)}, "tell": told.append}
    graph.nodes["input"] = entry(2, 4, 4)
    nirbridge.evaluate(graph, folder, **how)
    assert not [line for line in told if "in steps of" in line]
    leaky = nir.LIF(np.full(5, 0.02), np.ones(5), np.zeros(5), np.ones(5))
    (name,) = (name for name, node in graph.nodes.items() if type(node) is MultiLevelLIF)
    graph.nodes[name] = leaky
    nirbridge.evaluate(graph, folder, **how)
    note = (
        f"node '{name}' (LIF) runs in steps of 0.001 s, and a frame holds 0.002 s of events. Give --dt 0.002 (dt=0.002)"
    )
    assert [line for line in told if line.startswith(note)]
    told.clear()
    nirbridge.evaluate(graph, folder, dt=0.002, **how)
    nirbridge.evaluate(graph, folder, **how | {"encoding": {"per_events": 9, "coding": "count", "sensor_size": (4, 4)}})
    graph.nodes["input"] = node
    nirbridge.evaluate(graph, folder, tell=told.append)
    assert not [line for line in told if "in steps of" in line]


def test_a_data_set_of_encoded_frames(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from nirbridge_events import datasets

    encoding = datasets.Encoding({"window": 1000, "coding": "count"}, steps=4)
    data = datasets.folder(folder, encoding, cache=tmp_path / "cache", sensor_size=(4, 4))
    found = nirbridge.evaluate(on_events(), data)
    assert np.array_equal(found.scores, nirbridge.evaluate(on_events(), folder, steps=4).scores)
    assert found.labels.tolist() == [0, 0, 0, 0, 2, 2, 2]
    data.augment = lambda frames: frames
    with pytest.raises(InputError, match="has an augment"):
        nirbridge.evaluate(on_events(), data)
