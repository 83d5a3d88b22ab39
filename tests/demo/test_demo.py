"""The demo as a user runs it, on few digits."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import nirbridge

pytest.importorskip("sklearn")
pytest.importorskip("norse")


def test_the_demo_does_the_main_job(tmp_path: Path) -> None:
    from nirbridge.cli import main

    done = CliRunner().invoke(main, ["demo", "--digits", "4", "--out", str(tmp_path / "deep" / "out")])
    assert done.exit_code == 0, done.output
    stations = re.findall(r"^(\d)\. (\w+)", done.output, re.MULTILINE)
    assert stations == [("1", "export"), ("2", "check"), ("3", "run"), ("4", "stream"), ("5", "picture")]
    folder = tmp_path / "deep" / "out"
    assert sorted(path.name for path in folder.iterdir()) == ["demo.nir", "demo.png"]
    assert (folder / "demo.png").read_bytes().startswith(b"\x89PNG")
    assert nirbridge.check(nirbridge.read(folder / "demo.nir")) == []


def test_films_are_the_same_every_time_and_fill_their_windows() -> None:
    from nirbridge.demo.scene import STEPS, digits, film, frames

    image = digits()[0][0]
    first, second = frames(film(image)), frames(film(image))
    assert (first == second).all()
    assert first.shape == (STEPS, 2, 16, 16)
    assert set(np.unique(first)) <= {0, 1, 2, 4}
    assert (first.reshape(STEPS, -1).max(axis=1) > 0).all()


def test_shipped_weights_classify(tmp_path: Path) -> None:
    """Far above chance on digits that were not trained on, on the reference."""
    from nirbridge.demo.run import export_network
    from nirbridge.demo.scene import TRAINING, digits, film, frames

    images, labels = (array[TRAINING : TRAINING + 40] for array in digits())
    x = np.stack([frames(film(image)) for image in images], axis=1)
    with nirbridge.compile(export_network(tmp_path / "demo.nir")) as program:
        right = program.run(x).output.mean(0).argmax(1) == labels
    assert right.mean() > 0.8
