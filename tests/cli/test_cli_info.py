"""``nirbridge info`` as users type it."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from nirbridge_events import write_nmnist
from tests.cli.conftest import Invoke, assert_one_line
from tests.events import naive, test_info


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    write_nmnist(tmp_path / "rec.bin", naive.events_of(test_info.made()))
    return tmp_path / "rec.bin"


def two_cameras(path: Path) -> Path:
    test_info.test_cameras_are_listed(path)
    return path / "two.aedat4"


def test_a_block_says_it_all(invoke: Invoke, recording: Path) -> None:
    result = invoke("info", recording)
    lines = result.stdout.splitlines()
    assert result.exit_code == 0
    assert lines[0] == f"file '{recording}' (nmnist)"
    named = {line[2:12].strip(): line[14:] for line in lines[1:]}
    assert list(named) == ["size", "sensor", "events", "time", "rate", "bad", "hot pixels"]
    assert named["size"] == "16,000 bytes"
    assert named["sensor"] == "34x34 pixels, the usual one of the format"
    assert named["hot pixels"].startswith("1 of ")
    assert "(20, 7) 2" in named["hot pixels"]


def test_json_is_a_list_whatever_is_given(invoke: Invoke, recording: Path) -> None:
    (one,) = json.loads(invoke("info", recording, "--json").stdout)
    assert one["events"] == 3200
    assert len(json.loads(invoke("info", recording, recording, "--json").stdout)) == 2


def test_every_camera_gets_a_block_unless_one_is_chosen(invoke: Invoke, tmp_path: Path) -> None:
    path = two_cameras(tmp_path)
    found = json.loads(invoke("info", path, "--json").stdout)
    assert [(one["camera"], one["events"]) for one in found] == [("0", 1), ("1", 1)]
    text = invoke("info", path, "--camera", "R").stdout
    assert "cameras     0 (L), 1 (R); this is R" in text
    assert text.count("(aedat4)") == 1


def test_a_recording_that_cannot_be_read_does_not_hide_the_others(invoke: Invoke, recording: Path) -> None:
    result = invoke("info", recording.with_name("no.bin"), recording)
    assert "3,200" in result.stdout
    assert_one_line(result, "no.bin", "does not exist")


def test_a_camera_without_events_does_not_hide_the_others(invoke: Invoke, tmp_path: Path) -> None:
    path = tmp_path / "three.h5"
    with h5py.File(path, "w") as file:
        for name, count in (("left", 0), ("middle", 5), ("right", 7)):
            for column in "txyp":
                file[f"{name}/{column}"] = np.arange(count) if column == "t" else np.ones(count, np.uint8)
    result = invoke("info", path, "--json")
    assert [(one["camera"], one["events"]) for one in json.loads(result.stdout)] == [("1", 5), ("2", 7)]
    assert result.exit_code == 2
    assert_one_line(result, f"file '{path}', camera 0: holds no event")


def test_live_sources_are_refused(invoke: Invoke) -> None:
    assert_one_line(invoke("info", "udp://127.0.0.1:3333"), "is a live source")


def test_the_picture_shows_events_and_rates(invoke: Invoke, recording: Path, tmp_path: Path) -> None:
    from matplotlib.image import imread

    picture = tmp_path / "p.png"
    result = invoke("info", recording, two_cameras(tmp_path), "--picture", picture)
    assert result.exit_code == 0, result.output
    image = imread(picture)[..., :3]
    rows = image.reshape(3, -1, *image.shape[1:])
    green = (np.abs(rows - np.array([0, 160, 0]) / 255) < 0.05).all(axis=-1).any(axis=(1, 2))
    orange = (np.abs(rows - np.array([0xE0, 0x5A, 0x1E]) / 255) < 0.05).all(axis=-1).any(axis=(1, 2))
    assert green.tolist() == [True, False, False], "the hot pixel has a ring"
    assert orange.tolist() == [True, False, False], "one event makes no rate"


def test_a_picture_of_too_many_is_refused_before_they_are_read(invoke: Invoke, recording: Path, tmp_path: Path) -> None:
    result = invoke("info", *[recording] * 7, "--picture", tmp_path / "p.png")
    assert_one_line(result, "7 recordings, at most 6 are drawn")
    assert_one_line(invoke("info", recording, "--picture", tmp_path / "p.jpg"), "ends with '.jpg', expected '.png'")
    assert not list(tmp_path.glob("p.*"))
