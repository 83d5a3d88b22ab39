"""What a command reads is never what it writes: a recording, a model, a mask, another output."""

from __future__ import annotations

from pathlib import Path

import nir
import numpy as np
import pytest

import nirbridge
from nirbridge.ir import EventInput
from tests.cli.conftest import Invoke, assert_one_line
from tests.events import naive

LEARN = ("--filter", "hot-pixels=learn")
CODING = ("--window", "10ms", "--coding", "count", "--sensor", "34x34")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Recordings as a table and as an array, a model, and a mask."""
    monkeypatch.chdir(tmp_path)
    events = naive.make_events(np.random.default_rng(3), 900, (34, 34), span=50_000)
    table = np.stack([getattr(events, name).astype(np.int64) for name in "txyp"], axis=1)
    np.save("rec.npy", np.array(list(map(tuple, table)), dtype=[("t", "<i8"), ("x", "<u2"), ("y", "<u2"), ("p", "u1")]))
    np.savetxt("rec.csv", table, fmt="%d", delimiter=",", header="t,x,y,p", comments="")
    np.save("mask.npy", np.zeros((34, 34), bool))
    nodes = {
        "events": EventInput((2, 34, 34), (34, 34), 10_000, coding="count"),
        "flatten": nir.Flatten({"input": np.array([2, 34, 34])}, 0, -1),
        "classes": nir.Linear(np.ones((3, 2312), dtype=np.float32)),
        "output": nir.Output(np.array([3])),
    }
    edges = [("events", "flatten"), ("flatten", "classes"), ("classes", "output")]
    nirbridge.write("m.nir", nir.NIRGraph(nodes, edges, type_check=False))
    Path("link.npy").symlink_to("rec.npy")
    return tmp_path


@pytest.mark.parametrize(
    ("command", "found"),
    [
        (("encode", "rec.npy", "-o", "rec.npy", *CODING), "file 'rec.npy': is an input and would be overwritten"),
        (("encode", "rec.npy", "-o", "link.npy", *CODING), "file 'link.npy': is an input"),
        (("encode", "link.npy", "-o", "./rec.npy", *CODING), "file 'rec.npy': is an input"),
        (("encode", "rec.npy", "-o", "f.npy", *CODING, *LEARN, "--save-hot-pixels", "rec.npy"), "is an input"),
        (("encode", "rec.npy", "-o", "f.npy", *CODING, *LEARN, "--save-hot-pixels", "./f.npy"), "for two outputs"),
        (("encode", "rec.npy", "-o", "mask.npy", *CODING, "--filter", "hot-pixels=mask.npy"), "is an input"),
        (("stream", "rec.csv", "--model", "m.nir", "--out", "rec.csv"), "file 'rec.csv': is an input"),
        (("stream", "rec.csv", "rec.npy", "--model", "m.nir", "--out", "rec.npy"), "file 'rec.npy': is an input"),
        (("stream", "rec.csv", "--model", "m.nir", "--out", "m.nir"), "file 'm.nir': is an input"),
        (("stream", "rec.csv", "--model", "m.nir", "--out", "d.jsonl", "--out", "./d.jsonl"), "for two outputs"),
        (
            ("stream", "rec.csv", "--model", "m.nir", *LEARN, "--save-hot-pixels", "h.npy", "--out", "h.npy"),
            "two outputs",
        ),
        (("info", "rec.npy", "picture.png", "--picture", "picture.png"), "file 'picture.png': is an input"),
    ],
)
def test_what_is_read_is_not_written(folder: Path, invoke: Invoke, command: tuple[str, ...], found: str) -> None:
    Path("picture.png").write_bytes(Path("rec.npy").read_bytes())
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    result = invoke(*command)
    assert_one_line(result, found)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_mask_may_grow(folder: Path, invoke: Invoke) -> None:
    more = ("--filter", "hot-pixels=mask.npy", *LEARN, "--save-hot-pixels", "mask.npy")
    result = invoke("encode", "rec.npy", "-o", "f.npy", *CODING, *more)
    assert result.exit_code == 0, result.stderr
    assert np.load("f.npy").shape[1:] == (2, 34, 34)
