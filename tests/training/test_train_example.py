"""``examples/train.py`` and its data sets, on tiny data in the forms in which the real ones are published."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

import nirbridge
from nirbridge.cli import main as cli
from nirbridge.errors import FileError, InputError
from nirbridge.ir import EventInput, graphs_equal
from nirbridge.training import load_checkpoint, read_configuration
from nirbridge_events import Events, FrameEncoder, open_recording, write_nmnist

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
RNG = np.random.default_rng(0)


@pytest.fixture(scope="module", autouse=True)
def _examples_are_found():
    sys.path.insert(0, str(EXAMPLES))
    yield
    sys.path.remove(str(EXAMPLES))


@pytest.fixture(scope="module")
def load():
    """``train_data.load``."""
    import train_data

    return train_data.load


def run(*arguments: str) -> Result:
    """The program, in this process."""
    import train

    return CliRunner().invoke(train.main, [*arguments, "--device", "cpu"], catch_exceptions=False)


def digits_config(folder: Path, **changes) -> Path:
    values = {
        "data": {"name": "digits", "count": 80},
        "network": {"name": "small-conv", "width": 4},
        "neuron": {"name": "m-lif", "lanes": 3},
        "steps": 2,
        "epochs": 2,
        "batch": 20,
        "check_samples": 3,
    }
    path = folder / "run.json"
    path.write_text(json.dumps(values | changes))
    return path


def cifar_folder(folder: Path, monkeypatch, name: str) -> Path:
    """Batches as pickled dictionaries, under the checksums that torchvision will find."""
    from torchvision import datasets

    kind = {"cifar10": datasets.CIFAR10, "cifar100": datasets.CIFAR100}[name]
    base = folder / kind.base_folder
    base.mkdir(parents=True)
    key = "labels" if name == "cifar10" else "fine_labels"
    sums = {}
    for index, file in enumerate([entry[0] for entry in (*kind.train_list, *kind.test_list)]):
        pixels = np.full((2, 3072), index, np.uint8)
        pixels[:, 1024:2048] = 255
        (base / file).write_bytes(pickle.dumps({"data": pixels, key: [index, 9]}))
        sums[file] = hashlib.md5((base / file).read_bytes()).hexdigest()
    meta = kind.meta
    (base / meta["filename"]).write_bytes(pickle.dumps({meta["key"]: [str(n) for n in range(100)]}))
    meta_sum = hashlib.md5((base / meta["filename"]).read_bytes()).hexdigest()
    monkeypatch.setattr(kind, "train_list", [[entry[0], sums[entry[0]]] for entry in kind.train_list])
    monkeypatch.setattr(kind, "test_list", [[entry[0], sums[entry[0]]] for entry in kind.test_list])
    monkeypatch.setattr(kind, "meta", meta | {"md5": meta_sum})
    return folder


@pytest.mark.parametrize(("name", "classes", "batches"), [("cifar10", 10, 5), ("cifar100", 100, 1)])
def test_cifar(load, tmp_path, monkeypatch, name, classes, batches):
    pytest.importorskip("torchvision")
    folder = cifar_folder(tmp_path / "data", monkeypatch, name)
    data = load({"name": name, "folder": str(folder), "augment": False}, 1)
    assert (data.input_shape, data.num_classes) == ((3, 32, 32), classes)
    assert (len(data.train), len(data.test)) == (2 * batches, 2)
    x, label = data.train[0]
    mean, spread = np.array([[0.4914, 0.4822, 0.4465], [0.2470, 0.2435, 0.2616]])
    if name == "cifar10":
        np.testing.assert_allclose(x[:, 3, 4], (np.array([0, 1, 0]) - mean) / spread, rtol=1e-5)
    assert (label, data.test[0][1]) == (0, batches)
    varied = load({"name": name, "folder": str(folder)}, 1).train
    torch.manual_seed(0)
    assert not torch.equal(varied[0][0], varied[0][0])
    with pytest.raises(FileError, match=f"holds no complete 'cifar-{10 if classes == 10 else 100}"):
        load({"name": name, "folder": str(tmp_path)}, 1)


def test_imagenet_folders(load, tmp_path):
    pytest.importorskip("torchvision")
    from PIL import Image

    for part, count in (("train", 3), ("val", 1)):
        for label, name in enumerate(("n01440764", "n01443537")):
            (tmp_path / part / name).mkdir(parents=True)
            for index in range(count):
                picture = np.full((40, 50 + index, 3), 255 * label, np.uint8)
                Image.fromarray(picture).save(tmp_path / part / name / f"{index}.JPEG")
    data = load({"name": "imagenet", "folder": str(tmp_path), "size": 32}, 1)
    assert (data.input_shape, data.num_classes, len(data.train), len(data.test)) == ((3, 32, 32), 2, 6, 2)
    x, label = data.test[1]
    assert (tuple(x.shape), label) == ((3, 32, 32), 1)
    np.testing.assert_allclose(x[0].mean(), (1 - 0.485) / 0.229, rtol=1e-2)
    assert tuple(data.train[0][0].shape) == (3, 32, 32)
    (tmp_path / "val" / "n09999999").mkdir()
    with pytest.raises(FileError) as error:
        load({"name": "imagenet", "folder": str(tmp_path)}, 1)
    assert "\n" not in str(error.value)


def recording(count: int, size: int) -> Events:
    t = np.sort(RNG.integers(0, 300_000, count))
    x, y = RNG.integers(0, size, (2, count)).astype(np.uint16)
    return Events(x, y, t, RNG.integers(0, 2, count).astype(np.uint8))


def test_nmnist_folders_and_labels(load, tmp_path):
    for part, count in (("Train", 2), ("Test", 1)):
        for digit in range(10):
            (tmp_path / part / str(digit)).mkdir(parents=True)
            for index in range(count):
                write_nmnist(tmp_path / part / str(digit) / f"{index:05}.bin", recording(300, 34))
    data = load({"name": "nmnist", "folder": str(tmp_path)}, 10)
    assert (len(data.train), len(data.test), data.has_time, data.input_shape) == (20, 10, True, (2, 34, 34))
    frames, label = data.train[5]
    assert (tuple(frames.shape), label) == ((10, 2, 34, 34), 2)
    assert set(frames.unique().tolist()) <= {0.0, 1.0, 2.0, 4.0}
    assert frames.sum() > 200

    listed = tmp_path / "listed"
    (listed / "train").mkdir(parents=True)
    rows = []
    for index in range(4):
        write_nmnist(listed / "train" / f"{index}.bin", recording(100, 34))
        rows.append((f"{index}.bin", index))
    with (listed / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("file", "label"), *rows])
    data = load({"name": "nmnist", "folder": str(listed), "training": 3}, 4)
    assert [label for _, label in data.train] == [0, 1, 2]
    assert data.test[0][1] == 3
    with pytest.raises(InputError, match="lists 4 recordings, of which 800"):
        load({"name": "nmnist", "folder": str(listed)}, 4)
    with pytest.raises(FileError, match=r"neither labels\.csv nor Train"):
        load({"name": "nmnist", "folder": str(listed / "train")}, 4)


def nmnist_folder(folder: Path, count: int) -> Path:
    """Recordings of ``count`` digits in the published folders."""
    for part in ("Train", "Test"):
        for digit in range(count):
            (folder / part / str(digit)).mkdir(parents=True)
            write_nmnist(folder / part / str(digit) / "0.bin", recording(600, 34))
    return folder


def test_event_networks_say_how_events_become_their_frames(load, tmp_path):
    """The graph's input encodes a recording as training did; energy and the command line know it for events."""
    folder = nmnist_folder(tmp_path / "data", 4)
    data = {"name": "nmnist", "folder": str(folder), "window": 50_000, "size": 17, "lanes": 2, "subframes": 2}
    config = str(digits_config(tmp_path, data=data, steps=3, epochs=1))
    done = run("--config", config, "--out", str(tmp_path / "out"), "--runtime", "reference")
    assert done.exit_code == 0, done.stdout + done.stderr
    graph = nirbridge.read(tmp_path / "out" / "model.nir")
    (node,) = (node for node in graph.nodes.values() if type(node) is EventInput)
    path = folder / "Test" / "3" / "0.bin"
    frames = [part.frame for part in FrameEncoder.from_node(node).encode(open_recording(path, sensor_size=(34, 34)))]
    expected = load(data, 3).test[3][0].numpy()
    assert np.count_nonzero(expected) > 50
    np.testing.assert_array_equal(np.stack(frames[:3]), expected)
    assert nirbridge.energy(graph, expected[:, None]).layers[0].input == "events"
    encoded = tmp_path / "frames.npy"
    told = CliRunner().invoke(
        cli, ["encode", str(path), "--model", str(tmp_path / "out/model.nir"), "-o", str(encoded)]
    )
    assert told.exit_code == 0, told.output
    np.testing.assert_array_equal(np.load(encoded).reshape(-1, 2, 17, 17)[:3], expected)


def test_equal_count_frames_export_with_a_note(tmp_path):
    data = {"name": "nmnist", "folder": str(nmnist_folder(tmp_path / "data", 3)), "equal_count": True, "lanes": 2}
    config = str(digits_config(tmp_path, data=data, steps=3, epochs=1))
    done = run("--config", config, "--out", str(tmp_path / "out"), "--runtime", "reference")
    assert done.exit_code == 0, done.stdout + done.stderr
    assert "'nirbridge energy --input-kind events'" in done.stdout
    graph = nirbridge.read(tmp_path / "out" / "model.nir")
    assert all(type(node) is not EventInput for node in graph.nodes.values())


def dvs_file(path: Path, count: int = 800) -> None:
    """AEDAT 2.0 of a DVS128, as the published recordings are: address and time, big-endian."""
    events = recording(count, 128)
    words = np.zeros((count, 2), ">u4")
    words[:, 0] = (events.y.astype(int) << 8) | (events.x.astype(int) << 1) | events.p
    words[:, 1] = events.t
    path.write_bytes(b"#!AER-DAT2.0\r\n# AEChip: ch.unizh.ini.jaer.chip.retina.DVS128\r\n" + words.tobytes())


def test_dvs_cifar10(load, tmp_path):
    for name in ("airplane", "truck"):
        (tmp_path / name).mkdir()
        for index in range(10):
            dvs_file(tmp_path / name / f"cifar10_{name}_{index}.aedat")
    data = load({"name": "dvs-cifar10", "folder": str(tmp_path), "lanes": 4, "augment": False}, 10)
    assert (len(data.train), len(data.test), data.num_classes, data.has_time) == (18, 2, 2, True)
    frames, label = data.train[17]
    assert (tuple(frames.shape), label) == ((10, 2, 48, 48), 1)
    assert set(frames.unique().tolist()) <= {0.0, 1.0, 2.0, 4.0, 8.0}
    # 800 events on 2x48x48 places: nearly every one is seen in a frame of its own.
    assert 500 < frames.sum() <= 800
    varied = load({"name": "dvs-cifar10", "folder": str(tmp_path), "lanes": 3}, 5).train
    torch.manual_seed(1)
    first, second = varied[0][0], varied[0][0]
    assert not torch.equal(first, second)
    assert first.sum() == second.sum()
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileError, match="holds no folders with recordings"):
        load({"name": "dvs-cifar10", "folder": str(tmp_path / "empty")}, 10)
    (tmp_path / "few" / "airplane").mkdir(parents=True)
    dvs_file(tmp_path / "few" / "airplane" / "1.aedat")
    with pytest.raises(FileError, match="too few"):
        load({"name": "dvs-cifar10", "folder": str(tmp_path / "few")}, 10)


def test_the_graph_of_digits_asks_for_the_nodes_that_it_does_not_tell(load):
    pytest.importorskip("sklearn")
    data = load({"name": "digit-graph", "nodes": 80, "neighbours": 4, "known": 3}, 2)
    (x, told), (same, asked_for) = data.train[0], data.test[0]
    assert torch.equal(x, same)
    assert (tuple(x.shape), data.input_shape, tuple(told.shape)) == ((64, 80), (64, 80), (80,))
    assert [int((told == digit).sum()) for digit in range(10)] == [3] * 10
    assert torch.equal(told >= 0, asked_for < 0)
    adjacency = data.network["adjacency"]
    assert torch.equal(adjacency, adjacency.T)
    assert adjacency.sum(1).min() >= 4
    assert adjacency.diagonal().sum() == 0
    for options, message in (({"known": 80}, "leaves no node"), ({"neighbours": 80}, "80 neighbours of 80 nodes")):
        with pytest.raises(InputError, match=message):
            load({"name": "digit-graph", "nodes": 80, **options}, 2)


ANALOG = {"analog_epochs": 60, "analog_learning_rate": 0.02}


@pytest.mark.parametrize(
    "changes",
    [
        {"recipe": "direct", "neuron": {"name": "m-lif", "lanes": 3}},
        {"recipe": "hybrid", "factor": 0.6} | ANALOG,
        {"recipe": "qcfs-lm-ht"} | ANALOG,
    ],
    ids=lambda changes: changes["recipe"],
)
def test_text_gcn_learns_a_graph_and_agrees_on_the_runtimes(tmp_path, changes):
    pytest.importorskip("sklearn")
    values = {
        "data": {"name": "digit-graph", "nodes": 150},
        "network": {"name": "text-gcn", "width": 32},
        "steps": 2,
        "epochs": 60,
        "learning_rate": 0.01,
    }
    values |= changes
    path = tmp_path / "run.json"
    path.write_text(json.dumps(values))
    done = run("--config", str(path), "--out", str(tmp_path / "out"), "--runtime", "norse")
    assert done.exit_code == 0, done.stdout + done.stderr
    assert "150 of 150 alike" in done.stdout
    assert "norse: agrees with the reference" in done.stdout
    assert json.loads((tmp_path / "out" / "history.json").read_text())["epochs"][-1]["test"] > 0.6


def test_data_that_cannot_be_are_one_line(load, tmp_path):
    for section, kind, message in (
        ({"name": "mnist"}, InputError, "unknown data set 'mnist'"),
        ({"name": "cifar10"}, InputError, "has no folder"),
        ({"name": "digits", "size": 8}, InputError, "data 'digits'"),
        ({"name": "nmnist", "folder": str(tmp_path / "none")}, FileError, "does not exist"),
    ):
        with pytest.raises(kind, match=message) as error:
            load(section, 1)
        assert "\n" not in str(error.value)


def test_a_part_of_the_training_samples_is_held_back(load):
    """The last ones of each class, in proportion and as they are; the others train; the test is the same."""
    pytest.importorskip("sklearn")
    plain, data = load({"name": "digits"}, 1), load({"name": "digits", "shift": 1, "validation": 260}, 1)
    assert (len(data.train), len(data.validation), len(data.test)) == (1037, 260, 500)
    assert plain.validation is None
    kept, held = data.train.indices, data.validation.indices
    assert sorted([*kept, *held]) == list(range(1297))
    labels = [int(plain.train[index][1]) for index in range(1297)]
    for digit in range(10):
        of_class = [index for index in range(1297) if labels[index] == digit]
        last = [index for index in held if labels[index] == digit]
        assert last == of_class[-len(last) :]
        assert len(last) == 26
    assert all(torch.equal(data.validation[i][0], plain.train[index][0]) for i, index in enumerate(held))
    assert not torch.equal(data.train[0][0], data.train[0][0]) or not torch.equal(data.train[1][0], data.train[1][0])
    assert torch.equal(data.test[7][0], plain.test[7][0])


def test_held_back_images_are_not_varied(load, tmp_path, monkeypatch):
    pytest.importorskip("torchvision")
    folder = str(cifar_folder(tmp_path / "data", monkeypatch, "cifar10"))
    data = load({"name": "cifar10", "folder": folder, "validation": 3}, 1)
    assert (len(data.train), len(data.validation)) == (7, 3)
    assert torch.equal(data.validation[0][0], data.validation[0][0])


@pytest.mark.parametrize("count", [-1, 60, 61, 2.5, True, "some", None])
def test_more_than_there_is_cannot_be_held_back(load, count):
    pytest.importorskip("sklearn")
    with pytest.raises(InputError, match=r"data 'digits': validation=.* from 0 to 59") as error:
        load({"name": "digits", "count": 80, "validation": count}, 1)
    assert "\n" not in str(error.value)


def test_validation_is_told_beside_the_test(tmp_path):
    """And kept in the history, and refused where a run with another part held back is to go on."""
    pytest.importorskip("sklearn")
    config, out = str(digits_config(tmp_path, check_samples=0)), str(tmp_path / "out")
    done = run("--config", config, "--set", "data.validation=20", "--out", out)
    assert done.exit_code == 0
    assert re.search(r"spiking epoch 2: loss \S+, train +\S+%, validation +\S+%, test +\S+%", done.stdout)
    epochs = json.loads((tmp_path / "out" / "history.json").read_text())["epochs"]
    assert all(0 <= entry["validation"] <= 1 for entry in epochs)
    done = run("--config", config, "--out", out, "--resume")
    assert (done.exit_code, len(done.stderr.strip().splitlines())) == (2, 1)
    assert "Resume with the same configuration" in done.stderr


def test_every_shipped_configuration_names_a_data_set(load):
    known = load.__globals__["LOADERS"]
    for path in (EXAMPLES / "configs").glob("*.json"):
        assert read_configuration(path).data["name"] in known


def test_folders_that_cannot_be_made_are_one_line(tmp_path):
    pytest.importorskip("sklearn")
    pytest.importorskip("tensorboard")
    (tmp_path / "file").write_text("")
    below, config = str(tmp_path / "file" / "below"), str(digits_config(tmp_path))
    for arguments in (("--out", below), ("--out", str(tmp_path / "out"), "--tensorboard", below)):
        done = run("--config", config, *arguments)
        assert done.exit_code == 2
        assert f"folder '{below}': cannot be written" in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1


def test_a_checkpoint_is_lost_only_where_that_is_said(tmp_path):
    pytest.importorskip("sklearn")
    options = ("--config", str(digits_config(tmp_path, check_samples=0)), "--out", str(tmp_path / "out"))
    assert run(*options, "--stop-after", "1").exit_code == 0
    before = (tmp_path / "out" / "checkpoint.pt").read_bytes()
    done = run(*options)
    assert done.exit_code == 2
    assert "holds a checkpoint.pt. Use --resume, --overwrite or another --out" in done.stderr
    assert (tmp_path / "out" / "checkpoint.pt").read_bytes() == before
    done = run(*options, "--overwrite")
    assert done.exit_code == 0
    assert "spiking epoch 1: loss" in done.stdout


@pytest.mark.parametrize(("recipe", "stop"), [("direct", 50), ("hybrid", 4)])
def test_a_run_that_ends_before_it_is_to_stop_is_finished(tmp_path, recipe, stop):
    pytest.importorskip("sklearn")
    more = {"analog_epochs": 2} if recipe == "hybrid" else {}
    config = str(digits_config(tmp_path, check_samples=0, recipe=recipe, **more))
    done = run("--config", config, "--out", str(tmp_path / "out"), "--stop-after", str(stop))
    assert done.exit_code == 0, done.stderr
    assert (tmp_path / "out" / "model.nir").exists()
    assert (tmp_path / "out" / "history.json").exists()


def test_training_resumes_and_exports(tmp_path):
    pytest.importorskip("sklearn")
    config = str(digits_config(tmp_path, check_samples=0))
    broken, straight = tmp_path / "broken", tmp_path / "straight"
    done = run("--config", config, "--out", str(broken), "--stop-after", "1")
    assert done.exit_code == 0
    assert not (broken / "model.nir").exists()
    for folder, more in ((broken, ("--resume",)), (straight, ())):
        done = run("--config", config, "--out", str(folder), *more)
        assert done.exit_code == 0
        assert "spiking epoch 2: loss" in done.stdout
        assert "spiking 2/2" in done.stderr
        assert [entry["epoch"] for entry in json.loads((folder / "history.json").read_text())["epochs"]] == [1, 2]
    told = read_configuration(config).to_dict()
    a, b = (load_checkpoint(folder / "checkpoint.pt", told) for folder in (broken, straight))
    assert a.history == b.history
    assert all(torch.equal(a.network[name], b.network[name]) for name in a.network)
    first, second = (nirbridge.read(folder / "model.nir") for folder in (broken, straight))
    assert graphs_equal(first, second)
    assert len(first.nodes) == 8


def torchrun(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The program in two processes on the CPU."""
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    command = [sys.executable, *launcher, str(EXAMPLES / "train.py"), *arguments, "--device", "cpu"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def test_two_processes_train_the_network_that_one_trains(tmp_path):
    """torchrun with gloo: 60 samples in batches of 25, 25 and 10; one process writes and compares.

    Without batch normalisation, whose statistics each process takes of its own share.
    """
    pytest.importorskip("sklearn")
    config = digits_config(
        tmp_path, network={"name": "small-dense", "width": 16}, learning_rate=1e-2, optimizer="sgd", batch=25
    )
    options = ("--config", str(config), "--runtime", "norse")
    done = torchrun(*options, "--out", str(tmp_path / "two"))
    assert done.stdout.count("spiking epoch 1:") == 1
    assert done.stdout.count("decisions of torch and the graph on the reference: 3 of 3 alike") == 1
    assert done.stdout.count("norse: agrees with the reference") == 1
    alone = run(*options, "--out", str(tmp_path / "one"))
    assert alone.exit_code == 0
    told = read_configuration(config).to_dict()
    two, one = (load_checkpoint(tmp_path / name / "checkpoint.pt", told) for name in ("two", "one"))
    for name, tensor in one.network.items():
        torch.testing.assert_close(two.network[name], tensor, rtol=2e-3, atol=2e-4)
    for a, b in zip(two.history, one.history, strict=True):
        assert (a["train"], a["test"]) == (b["train"], b["test"])
        assert a["loss"] == pytest.approx(b["loss"], rel=2e-3)


def test_two_processes_resume_in_the_same_bits(tmp_path):
    """With batch normalisation and dropout, whose random numbers differ from process to process."""
    pytest.importorskip("sklearn")
    config = str(digits_config(tmp_path, network={"name": "small-conv", "width": 4, "dropout": 0.2}, check_samples=0))
    broken, straight = tmp_path / "broken", tmp_path / "straight"
    torchrun("--config", config, "--out", str(broken), "--stop-after", "1")
    torchrun("--config", config, "--out", str(broken), "--resume")
    torchrun("--config", config, "--out", str(straight))
    told = read_configuration(config).to_dict()
    a, b = (load_checkpoint(folder / "checkpoint.pt", told) for folder in (broken, straight))
    assert a.history == b.history
    assert all(torch.equal(a.network[name], b.network[name]) for name in b.network)


def test_tensorboard_holds_the_numbers_of_every_epoch(tmp_path):
    pytest.importorskip("sklearn")
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    config, board = str(digits_config(tmp_path, check_samples=0)), tmp_path / "board"
    options = ("--config", config, "--out", str(tmp_path / "out"), "--tensorboard", str(board))
    assert run(*options, "--stop-after", "1").exit_code == 0
    assert run(*options, "--resume").exit_code == 0
    history = json.loads((tmp_path / "out" / "history.json").read_text())["epochs"]
    events = EventAccumulator(str(board))
    events.Reload()
    assert sorted(events.Tags()["scalars"]) == ["spiking/loss", "spiking/test", "spiking/train"]
    for name in ("loss", "train", "test"):
        found = events.Scalars(f"spiking/{name}")
        assert [event.step for event in found] == [1, 2]
        assert [event.value for event in found] == pytest.approx([entry[name] for entry in history], rel=1e-6)


def test_runtimes_are_resolved_before_training(tmp_path):
    pytest.importorskip("sklearn")
    options = ("--config", str(digits_config(tmp_path, epochs=1)))
    done = run(*options, "--out", str(tmp_path / "a"), "--runtime", "reference", "--runtime", "nope")
    assert done.exit_code == 2
    assert "runtime 'nope': is not installed" in done.stderr
    assert "spiking" not in done.stdout + done.stderr
    done = run(*options, "--out", str(tmp_path / "b"), "--runtime", "reference")
    assert done.exit_code == 0, done.stderr
    assert "decisions of torch and the graph on the reference: 3 of 3 alike" in done.stdout
    assert "agrees with the reference" not in done.stdout


def test_bad_calls_end_with_one_line(tmp_path, monkeypatch):
    config = str(digits_config(tmp_path))
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    for arguments, message in (
        (("--config", str(tmp_path / "none.json")), "cannot be read"),
        (("--config", config, "--set", "recipe=magic"), "recipe is 'magic'"),
        (("--config", config, "--set", "data.name=mnist"), "unknown data set 'mnist'"),
        (("--config", config, "--set", "data.validation=60"), "validation=60 is no whole number from 0 to 59"),
        (("--config", config, "--resume"), "checkpoint.pt': does not exist"),
        (("--config", config, "--resume", "--overwrite"), "--overwrite: contradicts --resume"),
        (("--config", config, "--tensorboard", str(tmp_path)), "pip install tensorboard"),
        (("--config", config, "--set", "data.count=0"), "count=0 is not a whole number from 1"),
        (("--config", config, "--set", "data.count=1"), "count=1 leaves nothing to test"),
        (("--config", config, "--set", "data.count=abc"), "count='abc' is not a whole number from 1"),
        (("--config", config, "--set", "data.shift=-1"), "shift=-1 is not a whole number from 0"),
    ):
        done = run(*arguments, "--out", str(tmp_path / "out"))
        assert done.exit_code == 2
        assert message in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
