"""Files whose fields hold what no field should: check names the node, show shows the rest, run refuses."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np
import pytest

import nirbridge
from nirbridge.ir import PhaseEncode, PhaseIF, build_graph
from tests.cli.conftest import Invoke

STRANGE: dict[str, tuple[str, Any, str]] = {
    "stride 0": ("conv/stride", 0, "node 'conv' (Conv2d): stride 0 is not whole numbers from 1 on"),
    "stride of text": ("pool/stride", "fast", "node 'pool' (SumPool2d): 'fast' is not 2 whole numbers"),
    "half a step": ("pool/stride", np.array([1.5, 1.0]), "node 'pool' (SumPool2d): [1.5, 1.0] is not 2 whole numbers"),
    "three numbers": ("conv/dilation", np.array([1, 1, 1]), "node 'conv' (Conv2d): [1, 1, 1] is not 2 whole numbers"),
    "infinite dilation": ("conv/dilation", np.inf, "node 'conv' (Conv2d): dilation inf is not whole numbers"),
    "negative padding": ("conv/padding", np.array([-1, 0]), "node 'conv' (Conv2d): padding [-1, 0] is not whole"),
    "endless padding": ("conv/padding", 1e300, "node 'conv' (Conv2d): input (1, 6, 6) would become"),
    "bias of another size": ("conv/bias", np.zeros(3), "node 'conv' (Conv2d): bias of shape (3,) does not broadcast"),
    "bias of text": ("conv/bias", "warm", "node 'conv' (Conv2d): bias has dtype"),
    "no bias": ("fc/bias", h5py.Empty("f8"), "node 'fc' (Affine): bias has dtype object"),
    "no input shape": ("input/shape", h5py.Empty("f8"), "node 'input' (Input): it states no shape"),
    "overflowing base": (
        "phase/base_in",
        1e300,
        "node 'phase' (PhaseIF): base 1e+300 to the power of 9 exceeds 2^1000",
    ),
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    nodes = {
        "input": nir.Input(np.array([1, 6, 6])),
        "encode": PhaseEncode((1, 6, 6), 4),
        "conv": nir.Conv2d(None, np.ones((2, 1, 3, 3)), 1, 1, 1, 1, np.zeros(2)),
        "phase": PhaseIF((2, 6, 6), 4, 4, 2.0, 1.5, 1.0, 0.0),
        "pool": nir.SumPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0])),
        "flat": nir.Flatten(None, 0, -1),
        "fc": nir.Affine(np.ones((3, 18)), np.zeros(3)),
        "output": nir.Output(np.array([3])),
    }
    target = tmp_path / "net.nir"
    nirbridge.write(target, build_graph(nodes, list(itertools.pairwise(nodes))))
    return target


def test_the_graph_is_good_before_it_is_spoiled(path: Path, invoke: Invoke) -> None:
    assert invoke("check", path).exit_code == 0


@pytest.mark.parametrize("name", list(STRANGE))
def test_a_strange_field_is_one_problem_of_its_node(name: str, path: Path, tmp_path: Path, invoke: Invoke) -> None:
    field, value, found = STRANGE[name]
    with h5py.File(path, "a") as file:
        del file[f"node/nodes/{field}"]
        file[f"node/nodes/{field}"] = value
    checked = invoke("check", path)
    assert checked.exit_code == 1, checked.output
    assert any(line.startswith(found) for line in checked.stdout.splitlines()), checked.stdout
    shown = invoke("show", path)
    assert shown.exit_code == 0, shown.output
    assert "flat " in shown.stdout
    np.save(tmp_path / "x.npy", np.ones((1, 1, 1, 6, 6)))
    ran = invoke("run", path, "-i", tmp_path / "x.npy", "-o", tmp_path / "o.npz")
    assert ran.exit_code == 2
    assert f"file '{path}', {found}" in ran.stderr
    assert not (tmp_path / "o.npz").exists()
