"""Data that would give a figure of something else: it is refused, counted or said, never judged in silence."""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest

import nirbridge
from nirbridge.errors import FileError, InputError, NirbridgeError
from nirbridge.ir import EventInput
from tests.costing.nets import entry, line
from tests.evaluating.networks import IMAGES, LABELS, on_events, recordings, small


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """The table of a flat folder of seven recordings."""
    flat = tmp_path / "flat"
    flat.mkdir()
    for path in recordings(tmp_path / "data").rglob("*.npy"):
        shutil.copy(path, flat / path.name)
    return flat / "labels.csv"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("file,label\n0.npy,0\n1.npy,0\n0.npy,2\n", "'0.npy' has two labels, 0 and 2"),
        ("file,label\n0.npy,0\n./0.npy,2\n", "'0.npy' has two labels, 0 and 2"),
        ("file,label\n0.npy,0,7\n1.npy,2\n", "line 2 has 3 cells for 2 columns"),
        ('file,label\n0.npy,"0\n1.npy,2\n', "is no readable table"),
        ("file,label,file\n0.npy,0,1.npy\n", "has file, label, file, not the columns"),
        ("file,label\n0.npy,1.0\n1.npy,0.0\n2.npy,10.0\n", "labels: '0.0' is no class"),
        ("file,label\n0.npy,-1\n1.npy,0\n", "labels: '-1' is no class beside '0'"),
        ("file,label\n0.npy,cat\n1.npy,2\n", "labels: 'cat' is no class beside '2'"),
        ("file,label\n0.npy,1e0\n1.npy,2\n", "labels: '1e0' is no class beside '2'"),
        ("file,label\n0.npy,01\n1.npy,1\n", "labels: '01' and '1' are one class in two spellings"),
        ("file,label\n0.npy,²\n1.npy,2\n", "labels: '²' is no class beside '2'"),
        ("file,label\n0.npy,٣\n1.npy,2\n", "labels: '٣' is no class beside '2'"),
    ],
)
def test_tables_that_leave_a_class_open(table: Path, text: str, found: str) -> None:
    table.write_text(text, encoding="utf-8")
    with pytest.raises(NirbridgeError) as caught:
        nirbridge.evaluate(on_events(), table.parent)
    assert found in str(caught.value)
    assert "\n" not in str(caught.value)


def test_tables_of_spreadsheets_are_read(table: Path) -> None:
    table.write_bytes(b"\xef\xbb\xbfsplit, label ,file\r\ntest, 2 , 1.npy \r\ntest,0,0.npy\r\n\r\n")
    found = nirbridge.evaluate(on_events(), table.parent)
    assert [(Path(name).name, label) for name, label in zip(found.files, found.labels, strict=True)] == [
        ("1.npy", 2),
        ("0.npy", 0),
    ]


def test_a_table_by_another_name_is_the_data(table: Path) -> None:
    table.write_text("file,label\n0.npy,0\n1.npy,2\n")
    part = table.with_name("test.csv")
    part.write_text("file,label\n3.npy,2\n")
    found = nirbridge.evaluate(on_events(), part)
    assert [Path(name).name for name in found.files] == ["3.npy"]
    assert found.labels.tolist() == [2]
    with pytest.raises(FileError, match="is part of the data"):
        nirbridge.evaluate(on_events(), part, output=part)
    part.write_text("t,x,y,p\n1,1,1,1\n")
    with pytest.raises(FileError, match=r"test\.csv': has t, x, y, p, not the columns file and label"):
        nirbridge.evaluate(on_events(), part)


def test_a_recording_that_is_missing_is_a_bad_sample(table: Path) -> None:
    table.write_text("file,label\n0.npy,0\nlost.npy,2\n1.npy,2\n")
    found = nirbridge.evaluate(on_events(), table.parent)
    assert (found.samples, list(found.bad)) == (2, [1])
    assert "lost.npy" in found.bad[1]
    with pytest.raises(InputError, match=r"sample 1: file '.*lost\.npy'"):
        nirbridge.evaluate(on_events(), table.parent, bad="error")
    table.write_text("file,label\nlost.npy,0\ngone.npy,2\n")
    with pytest.raises(NirbridgeError, match=r"lost\.npy"):
        nirbridge.evaluate(on_events(), table.parent)


def test_links_to_no_recording_are_bad_samples(tmp_path: Path) -> None:
    data = recordings(tmp_path / "data")
    (data / "0" / "gone.npy").symlink_to(tmp_path / "nowhere.npy")
    (data / "2" / "more").symlink_to(data / "0")
    found = nirbridge.evaluate(on_events(), data)
    assert (found.samples, len(found.bad)) == (7, 2)
    assert [Path(found.files[number]).name for number in found.bad] == ["gone.npy", "more"]


def test_a_folder_that_is_no_class_does_not_renumber_the_others(tmp_path: Path) -> None:
    root = recordings(tmp_path / "data")
    (root / "notes").mkdir()
    with pytest.raises(InputError, match="labels: 'notes' is no class beside '0'"):
        nirbridge.evaluate(on_events(), root)


def test_what_lies_beside_the_classes(tmp_path: Path) -> None:
    root = recordings(tmp_path / "data")
    (root / "README.md").touch()
    assert not any("beside" in note for note in nirbridge.evaluate(on_events(), root).notes)
    (root / "beside.npy").touch()
    found = nirbridge.evaluate(on_events(), root)
    assert found.samples == 7
    assert f"folder '{root}': 1 file beside the folders of the classes left out: ['beside.npy']." in found.notes
    (root / "3").symlink_to(tmp_path / "nowhere")
    with pytest.raises(FileError, match="folder '.*3': is a link that leads nowhere"):
        nirbridge.evaluate(on_events(), root)


def test_parts_are_no_classes(tmp_path: Path) -> None:
    recordings(tmp_path / "set" / "Train")
    recordings(tmp_path / "set" / "Test")
    with pytest.raises(FileError, match="holds 'Test' and 'Train', which are parts and no classes. Give one of them"):
        nirbridge.evaluate(on_events(), tmp_path / "set")
    assert nirbridge.evaluate(on_events(), tmp_path / "set" / "Test").samples == 7


@pytest.mark.parametrize("option", [{"train": True}, {"root": "elsewhere"}])
def test_options_of_named_sets_do_not_go_with_a_folder(tmp_path: Path, option: dict[str, object]) -> None:
    with pytest.raises(InputError, match=f"option '{next(iter(option))}': does not go with folder"):
        nirbridge.evaluate(on_events(), recordings(tmp_path / "data"), **option)


def test_channels_at_the_end_are_not_read_as_channels_in_front() -> None:
    images = np.zeros((5, 4, 4, 2))
    with pytest.raises(InputError, match=r"a frame is 4x4x2, the graph takes 2x4x4: the same axes in another order"):
        nirbridge.evaluate(on_events(), images, steps=2)
    moved = nirbridge.evaluate(on_events(), np.moveaxis(images, -1, 1), steps=2)
    assert moved.samples == 5


def overflowing() -> nir.NIRGraph:
    """Four classes; inputs of 1 overflow on the way."""
    return line(nir.Linear(np.eye(4) * 1e200), nir.Linear(np.eye(4) * 1e200), entry=entry(4), leaves=(4,))


@pytest.mark.filterwarnings("ignore:overflow")
@pytest.mark.filterwarnings("ignore::nirbridge.errors.GraphWarning")
def test_scores_beyond_all_numbers_decide_nothing(tmp_path: Path) -> None:
    images = np.zeros((6, 4))
    images[:, 1], images[2] = 1e-150, 1.0
    found = nirbridge.evaluate(
        overflowing(), images, np.ones(6, dtype=int), steps=2, batch=3, output=tmp_path / "p.csv"
    )
    assert list(found.bad) == [2]
    assert "NaN or infinite" in found.bad[2]
    assert (found.samples, found.correct, found.by_step.tolist()) == (5, 5, [1.0, 1.0])
    clean = nirbridge.evaluate(overflowing(), np.delete(images, 2, 0), np.ones(5, dtype=int), steps=2)
    assert found.cost == clean.cost
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["bad"] == 1
    with pytest.raises(InputError, match="sample 2: its scores are NaN or infinite"):
        nirbridge.evaluate(overflowing(), images, steps=2, bad="error")


@pytest.mark.filterwarnings("ignore:overflow")
@pytest.mark.filterwarnings("ignore::nirbridge.errors.GraphWarning")
def test_a_further_judge_without_a_decision_is_said(tmp_path: Path) -> None:
    images = np.zeros((6, 4))
    images[:, 1], images[2] = 1e-150, 1.0
    calm = line(nir.Linear(np.eye(4)), entry=entry(4), leaves=(4,))
    found = nirbridge.evaluate(calm, images, steps=2, batch=3, baseline=overflowing(), output=tmp_path / "p.csv")
    assert found.bad == {}
    assert found.all_predictions["baseline"].tolist() == [1, 1, -1, 1, 1, 1]
    assert [note for note in found.notes if note.startswith("'baseline': scores of some samples are NaN or infinite")]
    with (tmp_path / "p.csv").open(newline="") as file:
        assert [row["prediction_baseline"] for row in csv.DictReader(file)] == ["1", "1", "", "1", "1", "1"]


@pytest.mark.parametrize("batch", [1, 3, 6])
@pytest.mark.parametrize("judges", [{"runtime": "norse"}, {"others": ["norse"]}])
def test_a_sample_that_a_runtime_cannot_hold_is_bad(batch: int, judges: dict[str, Any]) -> None:
    images = IMAGES[:6].copy()
    images[2, 0, 0] = 1e300
    found = nirbridge.evaluate(small(), images, LABELS[:6], steps=2, batch=batch, **judges)
    assert list(found.bad) == [2]
    assert "beyond the range of float32" in found.bad[2]
    clean = nirbridge.evaluate(small(), np.delete(images, 2, 0), np.delete(LABELS[:6], 2), steps=2)
    assert (found.correct, found.cost.pj) == (clean.correct, clean.cost.pj)
    assert found.by_step.tolist() == clean.by_step.tolist()


def files_of_csv(path: Path) -> list[str]:
    with path.open(encoding="utf-8", newline="") as file:
        return [row["file"] for row in csv.DictReader(file)]


def files_of_parquet(path: Path) -> list[str]:
    return list(pytest.importorskip("pyarrow.parquet").read_table(path)["file"].to_pylist())


@pytest.mark.parametrize(("suffix", "files_of"), [(".csv", files_of_csv), (".parquet", files_of_parquet)])
def test_names_that_are_no_text_are_written_out(
    tmp_path: Path, suffix: str, files_of: Callable[[Path], list[str]]
) -> None:
    if suffix == ".parquet":
        pytest.importorskip("pyarrow.parquet")
    folder = recordings(tmp_path / "data")
    (folder / "0" / "0.npy").rename(folder / "0" / os.fsdecode(b"a\xff.npy"))
    found = nirbridge.evaluate(on_events(), folder, output=tmp_path / f"p{suffix}")
    assert found.samples == 7
    assert r"a\udcff.npy" in {Path(name).name for name in files_of(tmp_path / f"p{suffix}")}


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"window": 2000}, "its frames have window 2000, node 'input' .* says 1000"),
        ({"coding": "binary"}, "its frames have coding binary, node 'input' .* says count"),
        ({"polarity": "merge"}, "its frames have (polarity merge|size)"),
    ],
)
def test_frames_that_the_graph_was_not_made_for(tmp_path: Path, change: dict[str, object], found: str) -> None:
    pytest.importorskip("torch")
    from nirbridge_events import datasets

    encoding = datasets.Encoding({"window": 1000, "coding": "count", **change}, steps=4)
    data = datasets.folder(recordings(tmp_path / "data"), encoding, tmp_path / "cache", (4, 4))
    with pytest.raises(InputError, match=found):
        nirbridge.evaluate(on_events(), data)


def test_merging_counts_where_pixels_are_merged(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from nirbridge_events import datasets

    graph = on_events()
    graph.nodes["input"] = EventInput((2, 4, 4), sensor_size=(8, 8), window=1000, coding="count", downsample="or")
    encoding = datasets.Encoding({"window": 1000, "coding": "count", "size": (4, 4)}, steps=4)
    data = datasets.folder(recordings(tmp_path / "data"), encoding, tmp_path / "cache", (8, 8))
    with pytest.raises(InputError, match="its frames have downsample sum"):
        nirbridge.evaluate(graph, data)


def test_a_data_set_whose_names_are_other_numbers_says_so(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from nirbridge_events import datasets

    encoding = datasets.Encoding({"window": 1000, "coding": "count"}, steps=4)
    data = datasets.folder(recordings(tmp_path / "data"), encoding, tmp_path / "cache", (4, 4))
    found = nirbridge.evaluate(on_events(), data)
    assert found.labels[-1] == 2
    assert data[6][1] == 1
    assert any("its classes are 0, 2, for which the data set itself gives 0, 1" in note for note in found.notes)


def test_a_part_that_lacks_classes_says_so(tmp_path: Path) -> None:
    """Folders of classes are sorted, so the first samples are of one."""
    root = recordings(tmp_path / "data")
    part = nirbridge.evaluate(on_events(), root, samples=3)
    assert part.notes[0] == "The first 3 of 7 samples hold 1 of 2 classes."
    assert not any("classes" in note for samples in (5, 7, None) for note in
                   nirbridge.evaluate(on_events(), root, samples=samples).notes)  # fmt: skip


def test_labels_beside_those_of_the_file_are_taken_and_said(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", images=IMAGES, labels=(LABELS + 1) % 4)
    given = nirbridge.evaluate(small(), tmp_path / "d.npz", LABELS, steps=4)
    assert given.correct == nirbridge.evaluate(small(), IMAGES, LABELS, steps=4).correct
    assert any("its array 'labels' is not used, as labels are given" in note for note in given.notes)


def test_an_order_of_still_images_says_nothing_and_is_said() -> None:
    found = nirbridge.evaluate(small(), IMAGES, LABELS, steps=1, order="tn")
    assert "data: still images have no time axis, so --order tn says nothing about them." in found.notes


def test_labels_beside_those_of_recordings_say_to_which_they_go(table: Path) -> None:
    table.write_text("file,label\n3.npy,0\n1.npy,2\n")
    (note,) = nirbridge.evaluate(on_events(), table.parent, np.array([1, 1])).notes
    assert "those of the data are not used" in note
    assert "3.npy', the last for '" in note
    assert note.endswith("1.npy'.")


@pytest.mark.parametrize(("labels", "found"), [(LABELS * 1.0, "float64 of shape"), (LABELS[:, None], r"\(53, 1\)")])
def test_labels_of_a_file_that_are_no_classes(tmp_path: Path, labels: np.ndarray, found: str) -> None:
    np.savez(tmp_path / "d.npz", images=IMAGES, labels=labels)
    with pytest.raises(InputError, match=f"labels: .*{found}.*expected whole numbers"):
        nirbridge.evaluate(small(), tmp_path / "d.npz", steps=4)


def test_the_output_is_no_part_of_the_data(table: Path) -> None:
    text = "file,label\n0.npy,0\n1.npy,2\n"
    table.write_text(text)
    with pytest.raises(FileError, match=r"labels\.csv': is part of the data and would be overwritten"):
        nirbridge.evaluate(on_events(), table.parent, output=table)
    recording = table.parent / "a.csv"
    recording.write_text("t,x,y,p\n1,1,1,1\n")
    table.write_text("file,label\n0.npy,0\na.csv,2\n")
    (table.parent / "link.csv").symlink_to(recording)
    for output in (recording, table.parent / "link.csv"):
        with pytest.raises(FileError, match="is part of the data"):
            nirbridge.evaluate(on_events(), table.parent, output=output)
    assert recording.read_text().startswith("t,x,y,p")
    assert nirbridge.evaluate(on_events(), table.parent, output=table.parent / "p.csv").samples >= 1


def test_a_long_recording_among_short_ones_is_known_before_the_start(tmp_path: Path) -> None:
    """Batches fit the memory by the longest of some from all over the set, not of the first ones."""
    root = tmp_path / "data" / "0"
    root.mkdir(parents=True)
    for number in range(40):
        events = np.zeros(400, dtype=[("t", "<i8"), ("x", "<u2"), ("y", "<u2"), ("p", "u1")])
        events["t"] = np.linspace(0, 500 if number < 30 else 40_000_000, 400)
        np.save(root / f"{number}.npy", events)
    short, long = tmp_path / "short" / "0", tmp_path / "data"
    short.mkdir(parents=True)
    shutil.copy(root / "0.npy", short / "0.npy")
    assert batch(long) < 10 < batch(short.parent)


def batch(data: Path) -> int:
    told: list[str] = []
    nirbridge.evaluate(on_events(), data, samples=1, tell=told.append)
    (line_,) = [line_ for line_ in told if line_.startswith("Batches of")]
    return int(line_.split()[2])
