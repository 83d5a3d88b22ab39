"""The example of a pretrained network: what it does without its pictures, and which crops it judges by."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_it_names_the_packages_that_are_missing(tmp_path: Path) -> None:
    """They hold pictures and weights; a path without site packages but torch's would take them away."""
    program = (
        "import sys, runpy; sys.path.insert(0, sys.argv[1])\n"
        "import imagenet_pictures\n"
        "imagenet_pictures._PACKAGES = ('no_such_pictures',)\n"
        "sys.argv = ['imagenet_network.py']\n"
        "runpy.run_path(sys.path[0] + '/imagenet_network.py', run_name='__main__')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(EXAMPLES)], capture_output=True, text=True, timeout=300, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Skipped: not installed are no_such_pictures")


@pytest.fixture
def pictures(tmp_path: Path) -> tuple[dict[str, Any], Path]:
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "picture.png")
    return runpy.run_path(str(EXAMPLES / "imagenet_pictures.py")), tmp_path / "picture.png"


def test_crops_are_seeded_windows_of_pixels(pictures: tuple[dict[str, Any], Path]) -> None:
    names, path = pictures
    crops = names["_crops"](path, 4, 1, 0.5)
    assert crops.shape == (4, 3, 224, 224)
    assert crops.dtype == np.float32
    assert 0 <= crops.min() < crops.max() <= 255
    np.testing.assert_array_equal(crops, names["_crops"](path, 4, 1, 0.5))
    assert (crops[0] != crops[2]).any()
