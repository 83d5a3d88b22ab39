"""The data sets of ``train.py``, each read from the form in which it is published.

digits          scikit-learn's own, no folder
mnist           ``mnist.npz`` in the folder, with ``images`` [N, 28, 28] of bytes and ``labels``
digit-graph     scikit-learn's digits as a graph whose nodes are classified, for text-gcn
cifar10         torchvision: ``cifar-10-batches-py/`` in the folder
cifar100        torchvision: ``cifar-100-python/``
imagenet        ``train/<class>/*`` and ``val/<class>/*`` images
nmnist          ``Train/<digit>/*.bin`` and ``Test/<digit>/*.bin``, or ``labels.csv`` (file, label) and ``train/*.bin``
dvs-cifar10     ``<class>/*.aedat`` (or another format that nirbridge_events reads); the last tenth of a class tests

``validation=160`` in the section ``data`` holds back as many of any set's training samples, unvaried: the last ones of
each class, in proportion. Nothing is learned from them; their accuracy is told beside that of the test.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, Subset, TensorDataset

from nirbridge.errors import FileError, InputError
from nirbridge.ir import EventInput
from nirbridge_events import Events, FrameEncoder, encode_equal_count, open_recording
from nirbridge_events.labelled import folder_per_class
from training import Data

_CIFAR = {
    "cifar10": ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616), 10),
    "cifar100": ((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762), 100),
}
_IMAGENET_MEAN, _IMAGENET_SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_DIGITS_FOR_TRAINING = 1297
_COUNTS = ("count", "known", "lanes", "neighbours", "nodes", "sensor", "size", "subframes", "training", "window")
_LEAST = {"shift": 0, "seed": 0, **dict.fromkeys(_COUNTS, 1)}
"""Options that are whole numbers, and their least value."""


def load(section: dict[str, Any], steps: int) -> Data:
    """The data set of a configuration's section ``data``.

    Raises:
        InputError: an unknown name or option.
        FileError: the folder or something in it is missing or unreadable.
    """
    options = dict(section)
    name, validation = options.pop("name"), options.pop("validation", 0)
    if name not in LOADERS:
        raise InputError("data", f"unknown data set {name!r}", f"Use one of {', '.join(map(repr, LOADERS))}")
    for option, value in options.items():
        low = _LEAST.get(option)
        if low is not None and value is not None and (type(value) is not int or value < low):
            found = f"{option}={value!r} is not a whole number from {low}"
            raise InputError(f"data '{name}'", found, f"Choose another data.{option}")
    try:
        data, plain, labels = LOADERS[name](steps=steps, **options)
    except TypeError as error:
        raise InputError(f"data '{name}'", str(error), "Check the names of its options") from error
    return _held_out(data, plain, labels, validation, f"data '{name}'")


def _held_out(data: Data, plain: Dataset[Any], labels: list[int], count: Any, where: str) -> Data:
    """``data`` without ``count`` of its training samples, which become ``validation``, taken from ``plain``."""
    if not isinstance(count, int) or isinstance(count, bool) or not 0 <= count < len(labels):
        found = f"validation={count!r} is no whole number from 0 to {len(labels) - 1}, below its training samples"
        raise InputError(where, found, "Choose another data.validation")
    if count == 0:
        return data
    order = _by_place_in_class(labels)
    kept, held = sorted(order[: len(order) - count]), sorted(order[len(order) - count :])
    return replace(data, train=Subset(data.train, kept), validation=Subset(plain, held))


def _by_place_in_class(labels: list[int]) -> list[int]:
    """Samples by where they stand in their class, 0 to 1: the end of it holds the ends of all classes."""
    sizes, seen, places = Counter(labels), Counter[int](), []
    for index, label in enumerate(labels):
        seen[label] += 1
        places.append((seen[label] / sizes[label], index))
    return [index for _, index in sorted(places)]


Loaded = tuple[Data, Dataset[Any], list[int]]
"""A data set, its training samples as they are without variation, and the classes of these."""


def digits(steps: int, count: int | None = None, shift: int = 0) -> Loaded:
    """scikit-learn's 1797 digits as (1, 8, 8) in 0..1; the last 500 (a quarter of fewer) test.

    Args:
        steps: not used, images stand still.
        count: use only the first so many.
        shift: training images are moved by up to this many pixels.
    """
    if count == 1:
        raise InputError("data 'digits'", "count=1 leaves nothing to test", "Use 2 or more")
    found = _load_digits()
    x = torch.from_numpy(found.images[:count] / 16).float()[:, None]
    y = torch.from_numpy(found.target[:count]).long()
    split = _DIGITS_FOR_TRAINING if count is None else min(_DIGITS_FOR_TRAINING, len(y) * 3 // 4)
    train, test = TensorDataset(x[:split], y[:split]), TensorDataset(x[split:], y[split:])
    varied = Varied(train, partial(_shifted, most=shift)) if shift else train
    return Data(varied, test, (1, 8, 8), 10), train, y[:split].tolist()


def mnist(
    steps: int,
    folder: str | None = None,
    training: int = 7000,
    count: int | None = None,
    size: int = 28,
    shift: int = 0,
) -> Loaded:
    """MNIST digits as (1, size, size) in 0..1; the first ``training`` train, the others test.

    Args:
        steps: not used, images stand still.
        folder: where ``mnist.npz`` is.
        training: how many of its images train.
        count: use only the first so many of each part.
        size: side of the images, 28 or more; zeros surround them.
        shift: training images are moved by up to this many pixels.
    """
    path = _folder("mnist", folder) / "mnist.npz"
    try:
        with np.load(path) as file:
            images, labels = file["images"], file["labels"]
    except (OSError, KeyError, ValueError) as error:
        found = "holds no arrays 'images' and 'labels'"
        raise FileError(f"file '{path}'", found, "Put mnist.npz there") from error
    if not 0 < training < len(images):
        found = f"holds {len(images)} images, of which {training} should train"
        raise InputError(f"file '{path}'", found, "Set data.training below that")
    edge = (size - images.shape[-1]) // 2
    if edge < 0 or size - images.shape[-1] != 2 * edge:
        found = f"size={size} does not surround images of {images.shape[-1]} pixels evenly"
        raise InputError("data 'mnist'", found, "Choose 28, 30, 32 ...")
    x = torch.from_numpy(np.pad(images, ((0, 0), (edge, edge), (edge, edge)))).float()[:, None] / 255
    y = torch.from_numpy(labels).long()
    parts = slice(0, training), slice(training, None)
    train, test = (TensorDataset(x[part][:count], y[part][:count]) for part in parts)
    varied = Varied(train, partial(_shifted, most=shift)) if shift else train
    return Data(varied, test, (1, size, size), 10), train, y[:training][:count].tolist()


@dataclass(frozen=True)
class DigitGraph:
    """scikit-learn's digits as a graph: a node is an image, its edges go to those nearest to it.

    Attributes:
        features: X, the pixels as (64, nodes), in 0..1.
        adjacency: A (nodes, nodes), 0 or 1, symmetric, without self loops.
        labels: classes (nodes).
    """

    features: Tensor
    adjacency: Tensor
    labels: Tensor


def make_graph(nodes: int, neighbours: int) -> DigitGraph:
    """The graph of the first ``nodes`` digits, each linked with its nearest ``neighbours`` (Euclidean distance)."""
    found = _load_digits()
    x = torch.from_numpy(found.data[:nodes] / 16)
    if not 0 < neighbours < len(x):
        raise InputError("graph of digits", f"{neighbours} neighbours of {len(x)} nodes", "Use fewer neighbours")
    distance = torch.cdist(x, x).fill_diagonal_(torch.inf)
    near = distance.topk(neighbours, largest=False).indices
    adjacency = torch.zeros(len(x), len(x), dtype=x.dtype).scatter_(1, near, 1.0)
    return DigitGraph(x.T.contiguous(), torch.maximum(adjacency, adjacency.T), torch.from_numpy(found.target[:nodes]))


def known_nodes(labels: Tensor, known: int, generator: torch.Generator | None = None) -> Tensor:
    """Which nodes' classes are told: ``known`` of each class, drawn at random; bool (nodes)."""
    mask = torch.zeros(len(labels), dtype=torch.bool)
    for label in labels.unique():
        members = (labels == label).nonzero().flatten()
        mask[members[torch.randperm(len(members), generator=generator)[:known]]] = True
    return mask


def digit_graph(steps: int, nodes: int = 1797, neighbours: int = 8, known: int = 10, seed: int = 0) -> Loaded:
    """The graph of digits as one sample; it trains the nodes whose class is known and asks for the others.

    Args:
        steps: not used, features stand still.
        nodes: use only the first so many digits.
        neighbours: that each node is linked with.
        known: nodes of each class that train.
        seed: of the choice of these nodes.
    """
    graph = make_graph(nodes, neighbours)
    told = known_nodes(graph.labels, known, torch.Generator().manual_seed(seed))
    if bool(told.all()):
        raise InputError("data 'digit-graph'", f"known={known} leaves no node to ask for", "Use fewer")
    x = graph.features.float()[None]
    train, test = (TensorDataset(x, torch.where(mask, graph.labels, -1)[None]) for mask in (told, ~told))
    data = Data(train, test, tuple(x.shape[1:]), 10, network={"adjacency": graph.adjacency.float()})
    return data, train, [0]


def _cifar(name: str) -> Callable[..., Loaded]:
    def load_cifar(steps: int, folder: str | None = None, augment: bool = True) -> Loaded:
        datasets, transforms = _torchvision()
        mean, spread, classes = _CIFAR[name]
        plain = [transforms.ToTensor(), transforms.Normalize(mean, spread)]
        varied = [transforms.RandomCrop(32, padding=4), transforms.RandomHorizontalFlip()] if augment else []
        kind = {"cifar10": datasets.CIFAR10, "cifar100": datasets.CIFAR100}[name]
        root = _folder(name, folder)
        try:
            train = kind(root, train=True, transform=transforms.Compose([*varied, *plain]))
            unvaried = kind(root, train=True, transform=transforms.Compose(plain)) if augment else train
            test = kind(root, train=False, transform=transforms.Compose(plain))
        except RuntimeError as error:
            where = f"folder '{root}'"
            raise FileError(
                where, f"holds no complete '{kind.base_folder}'", "Unpack the python version there"
            ) from error
        return Data(train, test, (3, 32, 32), classes), unvaried, train.targets

    return load_cifar


def imagenet(steps: int, folder: str | None = None, size: int = 224, augment: bool = True) -> Loaded:
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
        unvaried = datasets.ImageFolder(str(root / "train"), transforms.Compose([*centred, *plain]))
        test = datasets.ImageFolder(str(root / "val"), transforms.Compose([*centred, *plain]))
    except FileNotFoundError as error:
        raise FileError(f"folder '{root}'", " ".join(str(error).split()), "Expected train/ and val/ folders") from error
    if train.classes != test.classes:
        found = f"train has {len(train.classes)} classes, val {len(test.classes)}, or their names differ"
        raise FileError(f"folder '{root}'", found, "Give both the same folders")
    return Data(train, test, (3, size, size), len(train.classes)), unvaried, train.targets


class Varied(Dataset[tuple[Tensor, int]]):
    """A data set whose samples are changed each time they are asked for, as by a random shift."""

    def __init__(self, dataset: TensorDataset, vary: Callable[[Tensor], Tensor]) -> None:
        self.dataset, self.vary = dataset, vary

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        x, label = self.dataset[index]
        return self.vary(x), label


class Recordings(Dataset[tuple[Tensor, int]]):
    """Recordings that are encoded when they are first asked for, then kept.

    Args:
        files: (path, class).
        encode: path → frames [T, C, H, W].
        vary: what happens to the frames each time they are asked for, as a random shift; nothing by default.
    """

    def __init__(
        self,
        files: list[tuple[Path, int]],
        encode: Callable[[Path], np.ndarray],
        vary: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        self.files, self.encode, self.vary = files, encode, vary
        self._kept: dict[int, Tensor] = {}

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        if index not in self._kept:
            frames = self.encode(self.files[index][0])
            kind = np.uint8 if frames.max(initial=0) < 256 else np.float32
            self._kept[index] = torch.from_numpy(np.ascontiguousarray(frames, kind))
        shown = self._kept[index].float()
        return (self.vary(shown) if self.vary else shown), self.files[index][1]


def _flipped_and_shifted(frames: Tensor) -> Tensor:
    """Flipped with probability 1/2 and shifted by up to 5 pixels each way, as the paper does."""
    return _shifted(frames.flip(-1) if torch.rand(()) < 0.5 else frames, 5)


def _shifted(frames: Tensor, most: int) -> Tensor:
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
    equal_count: bool = False,
    size: int = 34,
    shift: int = 0,
) -> Loaded:
    """N-MNIST in one-hot windows, (2, size, size).

    Windows of equal time, which an ``EventInput`` describes: those beyond ``steps`` are left out. Windows of equal
    event count: a recording is cut into T·2^(lanes-1) binary frames, of which each step sums 2^(lanes-1).

    Args:
        steps: T.
        folder: where it is.
        window: µs of a step; not used with ``equal_count``.
        lanes: S of the encoding.
        subframes: parts of a window that are counted; not used with ``equal_count``.
        training: with ``labels.csv``: how many of its files train, the others test.
        count: use only the first so many of each part.
        equal_count: windows hold equally many events instead of being equally long.
        size: side of the frames; pixels are merged before encoding.
        shift: training frames are moved by up to this many pixels.
    """
    root = _folder("nmnist", folder)
    train, test = _csv_split(root, training) if (root / "labels.csv").is_file() else _folder_split(root)

    shape = (2, size, size)
    events = EventInput(shape, (34, 34), window, subframes, lanes, "one-hot")

    def by_time(path: Path) -> np.ndarray:
        encoder = FrameEncoder.from_node(events)
        frames = np.zeros((steps, *shape), np.float32)
        found = [part.frame for part in encoder.encode(open_recording(path, sensor_size=(34, 34)))][:steps]
        frames[: len(found)] = found
        return frames

    def by_count(path: Path) -> np.ndarray:
        binary = steps * 2 ** (lanes - 1)
        places = {"sensor_size": (34, 34), "size": (size, size)}
        return encode_equal_count(_nmnist_events(path), binary, binary, lanes=lanes, **places)

    encode = by_count if equal_count else by_time
    still = Recordings(train[:count], encode)
    moved = Recordings(train[:count], encode, partial(_shifted, most=shift)) if shift else still
    described = None if equal_count else events
    data = Data(moved, Recordings(test[:count], encode), shape, 10, has_time=True, events=described)
    return data, still, [label for _, label in still.files]


@lru_cache(maxsize=1000)
def _nmnist_events(path: Path) -> Events:
    """A whole recording; those of the small set stay in memory, as sweeps over steps and lanes encode them anew."""
    return Events.concatenate(list(open_recording(path, sensor_size=(34, 34))))


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
) -> Loaded:
    """DVS-CIFAR10 in one-hot frames of equal event count, (2, size, size), which no ``EventInput`` describes.

    80 binary frames are pooled to T·2^(lanes-1), of which each step sums 2^(lanes-1).  Of each class the first nine
    tenths train and the others test, by the numbers in their names: of the published set 0 to 899 and 900 to 999, as
    in the paper's code.

    Args:
        steps: T; T·2^(lanes-1) must divide 80 (10 steps with 4 lanes, 5 with 3).
        folder: where the folders of the classes are.
        lanes: S of the encoding.
        size: side of the frames; pixels are merged before encoding.
        augment: random flips and shifts for training.
        sensor: side of the sensor.
    """
    root = _folder("dvs-cifar10", folder)
    found = folder_per_class(root)
    train, test = ([(sample.path, sample.label) for sample in found.split(part).samples] for part in (True, False))
    if not train or not test:
        what = f"holds {len(found.samples)} recordings in {len(found.classes)} folders, too few to train and test"
        raise FileError(f"folder '{root}'", what, "Expected a folder of recordings for each class, ten or more in each")
    pooled = steps * 2 ** (lanes - 1)

    def encode(path: Path) -> np.ndarray:
        events = Events.concatenate(list(open_recording(path, sensor_size=(sensor, sensor))))
        return encode_equal_count(events, pooled, sensor_size=(sensor, sensor), size=(size, size), lanes=lanes)

    shape = (2, size, size)
    still = Recordings(train, encode)
    varied = Recordings(train, encode, _flipped_and_shifted) if augment else still
    data = Data(varied, Recordings(test, encode), shape, len(found.classes), has_time=True)
    return data, still, [label for _, label in train]


LOADERS: dict[str, Callable[..., Loaded]] = {
    "digits": digits,
    "mnist": mnist,
    "digit-graph": digit_graph,
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


def _load_digits() -> Any:
    try:
        from sklearn.datasets import load_digits
    except ModuleNotFoundError as error:
        raise FileError("data 'digits'", "scikit-learn is not installed", "pip install scikit-learn") from error
    return load_digits()


def _torchvision() -> tuple[Any, Any]:
    try:
        from torchvision import datasets, transforms
    except ModuleNotFoundError as error:
        raise FileError("data", "torchvision is not installed", "pip install torchvision") from error
    return datasets, transforms
