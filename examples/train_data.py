"""The data sets of ``train.py``, each read from the form in which it is published.

digits          scikit-learn's own, no folder
cifar10         torchvision: ``cifar-10-batches-py/`` in the folder
cifar100        torchvision: ``cifar-100-python/``
imagenet        ``train/<class>/*`` and ``val/<class>/*`` images
nmnist          ``Train/<digit>/*.bin`` and ``Test/<digit>/*.bin``, or ``labels.csv`` (file, label) and ``train/*.bin``
dvs-cifar10     ``<class>/*.aedat`` (or another format that nirbridge_events reads); every tenth of a class tests
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, TensorDataset

from nirbridge.errors import FileError, InputError
from nirbridge.training import Data
from nirbridge_events import Events, FrameEncoder, encode_equal_count, open_recording

_CIFAR = {
    "cifar10": ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616), 10),
    "cifar100": ((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762), 100),
}
_IMAGENET_MEAN, _IMAGENET_SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_DIGITS_FOR_TRAINING = 1297


def load(section: dict[str, Any], steps: int) -> Data:
    """The data set of a configuration's section ``data``.

    Raises:
        InputError: an unknown name or option.
        FileError: the folder or something in it is missing or unreadable.
    """
    options = dict(section)
    name = options.pop("name")
    if name not in LOADERS:
        raise InputError("data", f"unknown data set {name!r}", f"Use one of {', '.join(map(repr, LOADERS))}")
    try:
        return LOADERS[name](steps=steps, **options)
    except TypeError as error:
        raise InputError(f"data '{name}'", str(error), "Check the names of its options") from error


def digits(steps: int, count: int | None = None) -> Data:
    """scikit-learn's 1797 digits as (1, 8, 8) in 0..1; the last 500 (a quarter of fewer) test.

    Args:
        steps: not used, images stand still.
        count: use only the first so many.
    """
    try:
        from sklearn.datasets import load_digits
    except ModuleNotFoundError as error:
        raise FileError("data 'digits'", "scikit-learn is not installed", "pip install scikit-learn") from error
    found = load_digits()
    x = torch.from_numpy(found.images[:count] / 16).float()[:, None]
    y = torch.from_numpy(found.target[:count]).long()
    split = _DIGITS_FOR_TRAINING if count is None else min(_DIGITS_FOR_TRAINING, len(y) * 3 // 4)
    return Data(TensorDataset(x[:split], y[:split]), TensorDataset(x[split:], y[split:]), (1, 8, 8), 10)


def _cifar(name: str) -> Callable[..., Data]:
    def load_cifar(steps: int, folder: str | None = None, augment: bool = True) -> Data:
        datasets, transforms = _torchvision()
        mean, spread, classes = _CIFAR[name]
        plain = [transforms.ToTensor(), transforms.Normalize(mean, spread)]
        varied = [transforms.RandomCrop(32, padding=4), transforms.RandomHorizontalFlip()] if augment else []
        kind = {"cifar10": datasets.CIFAR10, "cifar100": datasets.CIFAR100}[name]
        root = _folder(name, folder)
        try:
            train = kind(root, train=True, transform=transforms.Compose([*varied, *plain]))
            test = kind(root, train=False, transform=transforms.Compose(plain))
        except RuntimeError as error:
            where = f"folder '{root}'"
            raise FileError(
                where, f"holds no complete '{kind.base_folder}'", "Unpack the python version there"
            ) from error
        return Data(train, test, (3, 32, 32), classes)

    return load_cifar


def imagenet(steps: int, folder: str | None = None, size: int = 224, augment: bool = True) -> Data:
    """Folders ``train`` and ``val`` with one folder of images for each class.

    Args:
        steps: not used, images stand still.
        folder: where they are.
        size: side of the square that is cut out; a test image is scaled to 8/7 of it first.
        augment: random cuts and flips for training.
    """
    datasets, transforms = _torchvision()
    root = _folder("imagenet", folder)
    plain = [transforms.ToTensor(), transforms.Normalize(_IMAGENET_MEAN, _IMAGENET_SPREAD)]
    centred = [transforms.Resize(size * 8 // 7), transforms.CenterCrop(size)]
    varied = [transforms.RandomResizedCrop(size), transforms.RandomHorizontalFlip()] if augment else centred
    try:
        train = datasets.ImageFolder(str(root / "train"), transforms.Compose([*varied, *plain]))
        test = datasets.ImageFolder(str(root / "val"), transforms.Compose([*centred, *plain]))
    except FileNotFoundError as error:
        raise FileError(f"folder '{root}'", " ".join(str(error).split()), "Expected train/ and val/ folders") from error
    if train.classes != test.classes:
        found = f"train has {len(train.classes)} classes, val {len(test.classes)}, or their names differ"
        raise FileError(f"folder '{root}'", found, "Give both the same folders")
    return Data(train, test, (3, size, size), len(train.classes))


class Recordings(Dataset[tuple[Tensor, int]]):
    """Recordings that are encoded when they are first asked for, then kept.

    Args:
        files: (path, class).
        encode: path → frames [T, C, H, W].
        augment: random flips and shifts.
    """

    def __init__(self, files: list[tuple[Path, int]], encode: Callable[[Path], np.ndarray], augment: bool) -> None:
        self.files, self.encode, self.augment = files, encode, augment
        self._kept: dict[int, Tensor] = {}

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        if index not in self._kept:
            self._kept[index] = torch.from_numpy(np.ascontiguousarray(self.encode(self.files[index][0]), np.uint8))
        frames = self._kept[index].float()
        return (_varied(frames) if self.augment else frames), self.files[index][1]


def _varied(frames: Tensor, most: int = 5) -> Tensor:
    """Flipped with probability 1/2 and shifted by up to 5 pixels each way, as the paper does."""
    if torch.rand(()) < 0.5:
        frames = frames.flip(-1)
    shift = [int(n) for n in torch.randint(-most, most + 1, (2,))]
    return frames.roll(shift, (-2, -1))


def nmnist(
    steps: int,
    folder: str | None = None,
    window: int = 32_000,
    lanes: int = 3,
    subframes: int = 4,
    training: int = 800,
    count: int | None = None,
) -> Data:
    """N-MNIST in one-hot windows of equal time, (2, 34, 34); windows beyond ``steps`` are left out.

    Args:
        steps: T.
        folder: where it is.
        window: µs of a step.
        lanes: S of the encoding.
        subframes: parts of a window that are counted.
        training: with ``labels.csv``: how many of its files train, the others test.
        count: use only the first so many of each part.
    """
    root = _folder("nmnist", folder)
    train, test = _csv_split(root, training) if (root / "labels.csv").is_file() else _folder_split(root)

    def encode(path: Path) -> np.ndarray:
        encoder = FrameEncoder((34, 34), window, "one-hot", lanes=lanes, subframes=subframes)
        frames = np.zeros((steps, 2, 34, 34), np.float32)
        found = [part.frame for part in encoder.encode(open_recording(path, sensor_size=(34, 34)))][:steps]
        frames[: len(found)] = found
        return frames

    parts = (Recordings(part[:count], encode, augment=False) for part in (train, test))
    return Data(*parts, (2, 34, 34), 10, has_time=True)


def _csv_split(root: Path, training: int) -> tuple[list[tuple[Path, int]], list[tuple[Path, int]]]:
    with (root / "labels.csv").open(encoding="utf-8") as file:
        rows = [(root / "train" / row["file"], int(row["label"])) for row in csv.DictReader(file)]
    if not 0 < training < len(rows):
        found = f"lists {len(rows)} recordings, of which {training} should train"
        raise InputError(f"file '{root / 'labels.csv'}'", found, "Set data.training below that")
    return rows[:training], rows[training:]


def _folder_split(root: Path) -> tuple[list[tuple[Path, int]], list[tuple[Path, int]]]:
    parts = [
        [(path, int(path.parent.name)) for path in sorted((root / part).glob("[0-9]/*.bin"))]
        for part in ("Train", "Test")
    ]
    if not all(parts):
        found = "holds neither labels.csv nor Train/<digit>/*.bin and Test/<digit>/*.bin"
        raise FileError(f"folder '{root}'", found, "Unpack N-MNIST there")
    return parts[0], parts[1]


def dvs_cifar10(
    steps: int, folder: str | None = None, lanes: int = 4, size: int = 48, augment: bool = True, sensor: int = 128
) -> Data:
    """DVS-CIFAR10 in one-hot frames of equal event count, (2, size, size).

    80 binary frames are pooled to T·2^(lanes-1), of which each step sums 2^(lanes-1); every tenth recording of a class
    tests.

    Args:
        steps: T; T·2^(lanes-1) must divide 80 (10 steps with 4 lanes, 5 with 3).
        folder: where the folders of the classes are.
        lanes: S of the encoding.
        size: side of the frames; pixels are merged before encoding.
        augment: random flips and shifts for training.
        sensor: side of the sensor.
    """
    root = _folder("dvs-cifar10", folder)
    classes = sorted(path for path in root.iterdir() if path.is_dir())
    train: list[tuple[Path, int]] = []
    test: list[tuple[Path, int]] = []
    for label, path in enumerate(classes):
        for index, file in enumerate(sorted(entry for entry in path.iterdir() if entry.is_file())):
            (test if index % 10 == 9 else train).append((file, label))
    if not train or not test:
        found = f"holds {len(train) + len(test)} recordings in {len(classes)} folders, too few to train and test"
        raise FileError(
            f"folder '{root}'", found, "Expected a folder of recordings for each class, ten or more in each"
        )
    pooled = steps * 2 ** (lanes - 1)

    def encode(path: Path) -> np.ndarray:
        events = Events.concatenate(list(open_recording(path, sensor_size=(sensor, sensor))))
        return encode_equal_count(events, pooled, sensor_size=(sensor, sensor), size=(size, size), lanes=lanes)

    shape = (2, size, size)
    return Data(Recordings(train, encode, augment), Recordings(test, encode, False), shape, len(classes), has_time=True)


LOADERS: dict[str, Callable[..., Data]] = {
    "digits": digits,
    "cifar10": _cifar("cifar10"),
    "cifar100": _cifar("cifar100"),
    "imagenet": imagenet,
    "nmnist": nmnist,
    "dvs-cifar10": dvs_cifar10,
}


def _folder(name: str, folder: str | None) -> Path:
    if folder is None:
        raise InputError(f"data '{name}'", "has no folder", "Give it with --set data.folder=/path/to/it")
    if not Path(folder).is_dir():
        raise FileError(f"folder '{folder}'", f"does not exist, data set '{name}' is expected there", "Check the path")
    return Path(folder)


def _torchvision() -> tuple[Any, Any]:
    try:
        from torchvision import datasets, transforms
    except ModuleNotFoundError as error:
        raise FileError("data", "torchvision is not installed", "pip install torchvision") from error
    return datasets, transforms
