"""Labelled event recordings as torch data sets of encoded frames.

Only this module and ``augmentations`` import torch here.  Every set gives ``(frames [T, P, H, W] float32, label)``;
recordings are encoded once, by all cores, into a cache.

    data = nmnist("data", Encoding({"window": 10_000, "coding": "one-hot"}, steps=31), train=True)
    data.prepare()
    loader = torch.utils.data.DataLoader(data, batch_size=32, shuffle=True)
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import Dataset

from nirbridge.errors import InputError
from nirbridge.logs import logger
from nirbridge_events.augmentations import FlipAndRoll, NeuromorphicAugment
from nirbridge_events.events import Size
from nirbridge_events.frame_cache import Encoding, FrameCache
from nirbridge_events.labelled import Labelled, folder_per_class, folder_with_labels, from_tonic
from nirbridge_events.read_report import LossWarning

Place = str | os.PathLike[str]
CACHE = ".nirbridge-frames"
LOGGER = logger("events")

__all__ = [
    "EncodedEvents",
    "Encoding",
    "FlipAndRoll",
    "NeuromorphicAugment",
    "cifar10_dvs",
    "dvs_gesture",
    "folder",
    "labelled_folder",
    "ncaltech101",
    "nmnist",
]


class EncodedEvents(Dataset[tuple[Tensor, int]]):
    """Labelled recordings, encoded when first asked for, or all at once by ``prepare``.

    Args:
        labelled: recordings and classes.
        encoding: how they become frames; its ``steps`` make all of them equally long, as batches need.
        cache: folder of the encoded frames.
        augment: applied to the frames of a sample each time it is taken.

    Attributes:
        classes: names; a label is a place in it.
    """

    def __init__(
        self, labelled: Labelled, encoding: Encoding, cache: Place, augment: Callable[[Tensor], Tensor] | None = None
    ) -> None:
        self.samples, self.classes = labelled.samples, labelled.classes
        self.cache = FrameCache(cache, _sized(encoding, labelled.sensor_size))
        self.augment = augment

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """(frames [T, P, H, W], label).

        Raises:
            FileError: the recording is damaged.
            InputError: it gives more frames than ``steps``.
        """
        sample = self.samples[index]
        frames = torch.from_numpy(self.cache.load(sample))
        return frames if self.augment is None else self.augment(frames), sample.label

    def prepare(
        self, jobs: int | None = None, tick: Callable[[int], None] | None = None, cluster: str | None = None
    ) -> EncodedEvents:
        """Encodes what is not in the cache, by all cores; what was broken off goes on.

        Every tenth of the way is logged: ``logging.basicConfig(level="INFO")`` shows it.

        Args:
            jobs: processes; by default one a core, 1 works in this process.
            tick: called with 1 for each recording that is done, for a bar such as click's.
            cluster: "local" or the address of a Dask scheduler, as of :func:`nirbridge.workers.crew`.

        Raises:
            NirbridgeError: recordings cannot be encoded, each with its line; all the others are done.
        """
        progress = _Progress(len(self.cache.missing(self.samples)), tick)
        self.cache.fill(self.samples, jobs, progress.tick, cluster)
        return self


def nmnist(root: Place, encoding: Encoding, train: bool = True, **options: object) -> EncodedEvents:
    """N-MNIST, 34x34, 60,000 and 10,000 recordings of about 300 ms.

    Args:
        root: where tonic has or puts its data.
        encoding: how recordings become frames.
        train: the training part, or the test part.
        options: ``cache`` (a folder, by default ``.nirbridge-frames`` in ``root``), ``augment``, and ``download``
            (fetch what is missing; False by default).

    Raises:
        InputError: tonic is not installed, the data are not there, or an option is unknown.
    """
    return _from_tonic("nmnist", root, encoding, train, options)


def dvs_gesture(root: Place, encoding: Encoding, train: bool = True, **options: object) -> EncodedEvents:
    """DVS Gesture, 128x128, 11 classes, as tonic cuts it; arguments as of ``nmnist``."""
    return _from_tonic("dvs_gesture", root, encoding, train, options)


def cifar10_dvs(root: Place, encoding: Encoding, train: bool = True, **options: object) -> EncodedEvents:
    """DVS-CIFAR10, 128x128; of each class the first 900 recordings train and the last 100 test.

    Recordings are counted by the numbers in their names: 0 to 899 train and 900 to 999 test, as in the code of
    Abillama et al. (2025). That of Hao et al. (2024) also takes the first 900 of each class, but in the order of the
    alphabet (0, 1, 10, 100, ..).

    The papers shrink frames to 48x48 (``"size": (48, 48)``).  Abillama et al. train with ``augment=FlipAndRoll()`` and
    make frames of equal event count (``Encoding({"pooled": 40, "lanes": 3, "size": (48, 48)}, equal_count=True)`` gives
    T = 10); Hao et al. train with ``augment=NeuromorphicAugment()`` on counts.  Other arguments as of ``nmnist``.
    """
    return _from_tonic("cifar10_dvs", root, encoding, train, options)


def ncaltech101(root: Place, encoding: Encoding, train: bool = True, **options: object) -> EncodedEvents:
    """N-Caltech101, 240x180, 101 classes, split 9:1 in each; arguments as of ``nmnist``."""
    return _from_tonic("ncaltech101", root, encoding, train, options)


def folder(
    root: Place,
    encoding: Encoding,
    cache: Place | None = None,
    sensor_size: Size | None = None,
    augment: Callable[[Tensor], Tensor] | None = None,
    train: bool | None = None,
) -> EncodedEvents:
    """A folder that holds a folder of recordings for each class, in any format that ``open_recording`` knows.

    Args:
        root: the folder.
        encoding: how recordings become frames.
        cache: folder of the encoded frames, by default ``.nirbridge-frames`` in ``root``.
        sensor_size: (width, height), for recordings that do not say.
        augment: applied to the frames of a sample each time it is taken.
        train: the first nine tenths of each class, or the last tenth, as DVS-CIFAR10 is split; None for all.

    Warns:
        LossWarning: recordings lie beside the folders of the classes; they are no samples.
    """
    found = folder_per_class(root, sensor_size)
    for note in found.notes:
        warnings.warn(note, LossWarning, stacklevel=2)
    found = found if train is None else found.split(train)
    return EncodedEvents(found, encoding, _cache(root, cache), augment)


def labelled_folder(
    root: Place,
    encoding: Encoding,
    cache: Place | None = None,
    sensor_size: Size | None = None,
    augment: Callable[[Tensor], Tensor] | None = None,
) -> EncodedEvents:
    """A folder with recordings and a ``labels.csv`` with the columns file and label."""
    found = folder_with_labels(root, sensor_size)
    return EncodedEvents(found, encoding, _cache(root, cache), augment)


def _from_tonic(key: str, root: Place, encoding: Encoding, train: bool, options: dict[str, object]) -> EncodedEvents:
    unknown = sorted(set(options) - {"cache", "augment", "download"})
    if unknown:
        raise InputError(unknown[0], f"is no option of data set '{key}'", "Known are cache, augment and download")
    labelled = from_tonic(key, root, train, bool(options.get("download", False)))
    cache, augment = options.get("cache"), options.get("augment")
    return EncodedEvents(labelled, encoding, _cache(root, cache), augment)  # type: ignore[arg-type]


def _cache(root: Place, cache: object) -> Path:
    return Path(root) / CACHE if cache is None else Path(cache)  # type: ignore[arg-type]


def _sized(encoding: Encoding, sensor_size: Size | None) -> Encoding:
    """The encoding with the sensor's size, which is part of what decides the frames."""
    if sensor_size is None or "sensor_size" in encoding.options:
        return encoding
    options = {**encoding.options, "sensor_size": sensor_size}
    return replace(encoding, options=options)


class _Progress:
    """Logs every tenth of the way, and tells whoever else listens."""

    def __init__(self, total: int, listener: Callable[[int], None] | None) -> None:
        self._total, self._done, self._listener = total, 0, listener

    def tick(self, count: int) -> None:
        self._done += count
        if self._done == self._total or self._done % max(1, self._total // 10) == 0:
            LOGGER.info("encoded %d of %d recordings", self._done, self._total)
        if self._listener is not None:
            self._listener(count)
