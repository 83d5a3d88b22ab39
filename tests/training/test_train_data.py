"""The data sets of ``examples/train.py``, on tiny data in the forms in which the real ones are published."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import torch

from nirbridge.errors import FileError, InputError
from nirbridge_events import write_nmnist
from tests.training.programs import EXAMPLES, cifar_folder, dvs_file, recording
from train_data import Recordings
from training import read_configuration


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


def test_levels_beyond_a_byte_are_kept():
    frames = np.array([[[[0, 255, 256, 512]]]])
    assert Recordings([("", 0)], lambda path: frames)[0][0].tolist() == frames.tolist()


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


def test_data_that_cannot_be_are_one_line(load, tmp_path):
    for section, kind, message in (
        ({"name": "fashion"}, InputError, "unknown data set 'fashion'"),
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


def test_every_shipped_configuration_names_a_data_set(load):
    known = load.__globals__["LOADERS"]
    for path in (EXAMPLES / "configs").glob("*.json"):
        assert read_configuration(path).data["name"] in known


def test_mnist_keeps_its_order_and_is_surrounded_by_zeros(load, tmp_path):
    images = np.random.default_rng(0).integers(1, 256, (10, 28, 28)).astype(np.uint8)
    np.savez(tmp_path / "mnist.npz", images=images, labels=np.arange(10))
    data = load({"name": "mnist", "folder": str(tmp_path), "training": 7, "size": 32}, 1)
    assert (len(data.train), len(data.test), data.input_shape) == (7, 3, (1, 32, 32))
    x, label = data.test[2]
    assert int(label) == 9
    np.testing.assert_allclose(x[0, 2:-2, 2:-2], images[9] / 255, rtol=1e-6)
    assert int((x == 0).sum()) == 32 * 32 - 28 * 28


@pytest.mark.parametrize(
    ("options", "message"),
    [({"size": 29}, "size=29 does not surround"), ({"training": 10}, "10 should train"), ({"folder": "."}, "npz")],
)
def test_mnist_that_does_not_fit_is_refused(load, tmp_path, options, message):
    np.savez(tmp_path / "mnist.npz", images=np.zeros((10, 28, 28), np.uint8), labels=np.arange(10))
    with pytest.raises((FileError, InputError), match=message):
        load({"name": "mnist", "folder": str(tmp_path), "training": 7} | options, 1)
