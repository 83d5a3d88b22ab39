"""``examples/train.py`` as a program, and data sets in the forms in which the real ones are published."""

from __future__ import annotations

import hashlib
import json
import pickle
from pathlib import Path

import numpy as np
from click.testing import CliRunner, Result

from nirbridge_events import Events, write_nmnist

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
RNG = np.random.default_rng(0)


def run(*arguments: str, device: str = "cpu") -> Result:
    """The program, in this process."""
    import train

    return CliRunner().invoke(train.main, [*arguments, "--device", device], catch_exceptions=False)


def digits_config(folder: Path, **changes) -> Path:
    """A short run; None leaves a setting away."""
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
    told = {key: value for key, value in (values | changes).items() if value is not None}
    path.write_text(json.dumps(told))
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


def recording(count: int, size: int) -> Events:
    t = np.sort(RNG.integers(0, 300_000, count))
    x, y = RNG.integers(0, size, (2, count)).astype(np.uint16)
    return Events(x, y, t, RNG.integers(0, 2, count).astype(np.uint8))


def nmnist_folder(folder: Path, count: int) -> Path:
    """Recordings of ``count`` digits in the published folders."""
    for part in ("Train", "Test"):
        for digit in range(count):
            (folder / part / str(digit)).mkdir(parents=True)
            write_nmnist(folder / part / str(digit) / "0.bin", recording(600, 34))
    return folder


def dvs_file(path: Path, count: int = 800) -> None:
    """AEDAT 2.0 of a DVS128, as the published recordings are: address and time, big-endian."""
    events = recording(count, 128)
    words = np.zeros((count, 2), ">u4")
    words[:, 0] = (events.y.astype(int) << 8) | (events.x.astype(int) << 1) | events.p
    words[:, 1] = events.t
    path.write_bytes(b"#!AER-DAT2.0\r\n# AEChip: ch.unizh.ini.jaer.chip.retina.DVS128\r\n" + words.tobytes())
