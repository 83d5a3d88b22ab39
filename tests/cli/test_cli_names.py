"""Names from files of strangers never steer a terminal, a picture or a line; JSON keeps them."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import h5py
import nir
import numpy as np
import pytest

import nirbridge
from nirbridge.ir import MultiLevelLIF, build_graph
from tests.cli.conftest import Invoke

NASTY = "a\x1b[31m\n\r\x7f\x9b2J\u202eb\u2028Error: c$^{$"
"""ESC, line ends, DEL, C1, a bidi override, a separator of lines, and what matplotlib would read as mathematics."""


def _graph(extra: float = 0.0) -> nir.NIRGraph:
    names = {part: f"{part} {NASTY}" for part in ("in", "fc", "act", "out")}
    nodes = {
        names["in"]: nir.Input(np.array([4])),
        names["fc"]: nir.Affine(np.eye(3, 4) + extra, np.zeros(3)),
        names["act"]: MultiLevelLIF.one_hot((3,), lanes=2),
        names["out"]: nir.Output(np.array([3])),
    }
    order = list(nodes)
    return build_graph(nodes, list(itertools.pairwise(order)))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    nirbridge.write("g.nir", _graph())
    nirbridge.write("h.nir", _graph(0.5))
    nirbridge.write("bad.nir", _graph(np.inf))
    np.save("x.npy", np.ones((3, 2, 4)))
    np.savez("named.npz", **{f"in {NASTY}": np.ones((3, 2, 4)), NASTY: np.ones(1)})
    np.save("y.npy", [0, 1])
    return tmp_path


def _assert_harmless(text: str) -> None:
    assert [c for c in text if c != "\n" and not c.isprintable()] == []


COMMANDS = {
    "show": "show g.nir",
    "show svg": "show g.nir -o g.svg",
    "show json": "show g.nir --json",
    "check": "check g.nir",
    "check errors": "check bad.nir",
    "check lava": "check g.nir --runtime lava",
    "check chip": "check q.nir --runtime lava --chip loihi2",
    "check chip json": "check q.nir --runtime lava --chip loihi2 --json",
    "diff": "diff g.nir h.nir",
    "diff json": "diff g.nir h.nir --json",
    "run": "run g.nir -i x.npy",
    "run named": "run g.nir -i named.npz",
    "run bad": "run bad.nir -i x.npy",
    "run record": "run g.nir -i x.npy --record NODE",
    "run unknown": "run g.nir -i x.npy --record x",
    "run npz": "run g.nir -i x.npy -o o.npz",
    "run nird": "run g.nir -i x.npy -o o.nird",
    "compare": "compare g.nir -i x.npy --runtimes norse",
    "compare json": "compare g.nir -i x.npy --runtimes norse --json",
    "energy": "energy g.nir -i x.npy --plot e.png",
    "energy memory": "energy g.nir -i x.npy --model memory",
    "energy json": "energy g.nir -i x.npy --json",
    "frontier": "frontier g.nir h.nir -i x.npy --labels y.npy -o f.png",
    "frontier json": "frontier g.nir -i x.npy --labels y.npy --json",
    "quantize": "quantize g.nir -o o.nir --data x.npy",
    "quantize json": "quantize g.nir -o o.nir --json",
    "expand": "expand g.nir -o o.nir -i x.npy",
    "expand approximate": "expand g.nir -o o.nir --approximate",
    "stream": "stream missing.es --model g.nir --window 1ms --coding count",
}


_NO = ("diff g.nir h.nir", "diff g.nir h.nir --json", "check bad.nir")
_REFUSED = (
    "run g.nir -i named.npz",
    "run bad.nir -i x.npy",
    "run g.nir -i x.npy --record x",
    "stream missing.es --model g.nir --window 1ms --coding count",
)


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_no_command_prints_them_raw(command: str, folder: Path, invoke: Invoke) -> None:
    if "compare" in command:
        pytest.importorskip("norse")
    if ".png" in command:
        pytest.importorskip("matplotlib")
    if "q.nir" in command:
        assert invoke("quantize", "g.nir", "-o", "q.nir").exit_code == 0
    given = [f"act {NASTY}" if part == "NODE" else part for part in command.split()]
    result = invoke(*given)
    expected = 2 if command in _REFUSED else 1 if command in _NO else 0
    assert result.exit_code == expected, result.output
    _assert_harmless(result.stdout)
    _assert_harmless(result.stderr)
    assert not any(line.startswith("Error: c") for line in result.output.splitlines())
    if "--json" in command:
        assert _holds(json.loads(result.stdout))
    for picture in folder.glob("*.svg"):
        _assert_harmless(picture.read_text())


def _holds(data: object) -> bool:
    if isinstance(data, dict):
        return any(_holds(key) or _holds(value) for key, value in data.items())
    if isinstance(data, list):
        return any(map(_holds, data))
    return isinstance(data, str) and NASTY in data


@pytest.mark.parametrize("place", ["type", "field", "metadata", "edge"])
def test_other_texts_of_a_file_are_as_harmless(place: str, folder: Path, invoke: Invoke) -> None:
    with h5py.File("g.nir", "r+") as file:
        node = file["node/nodes"][f"fc {NASTY}"]
        if place == "type":
            del node["type"]
            node["type"] = NASTY
        elif place == "field":
            node[NASTY] = 1
        elif place == "metadata":
            node["metadata/" + NASTY] = NASTY
        else:
            del file["node/edges"]
            file["node/edges"] = np.array([[NASTY, "x"]], dtype=h5py.string_dtype())
    for command in ("show", "check", "diff"):
        result = invoke(command, "g.nir", *(["h.nir"] if command == "diff" else []))
        assert result.exit_code in (0, 1, 2), result.output
        _assert_harmless(result.output)


def test_names_of_files_are_as_harmless(folder: Path, invoke: Invoke) -> None:
    name = "f\x1b[31m\n\u202e.nir"
    (folder / name).write_bytes((folder / "g.nir").read_bytes())
    for command in (
        ("show", name),
        ("check", name),
        ("quantize", name, "-o", "q" + name),
        ("show", name + "x"),
        (name,),
    ):
        result = invoke(*command)
        assert result.exit_code in (0, 2), result.output
        _assert_harmless(result.output)
    assert (folder / ("q" + name)).exists()


def test_every_line_goes_through_one_place() -> None:
    """click.echo prints what it is given."""
    commands = Path(nirbridge.__file__).parent / "cli"
    raw = [
        f"{file.name}: {line.strip()}"
        for file in sorted(commands.glob("*.py"))
        for line in file.read_text().splitlines()
        if file.name not in ("output.py", "failures.py") and "click.echo" in line
    ]
    assert raw == []
