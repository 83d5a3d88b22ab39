"""Graphs with dyadic weights, on which every runtime must agree exactly, and the marks that Lava tests carry."""

from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path

import nir
import numpy as np
import psutil
import pytest

import nirbridge
from nirbridge.ir import MaxPool2d, MultiLevelLIF, build_graph
from nirbridge_lava import RUNTIME

needs_lava = pytest.mark.skipif(not RUNTIME.availability().usable, reason=RUNTIME.availability().reason or "usable")


SHARED_MEMORY = Path("/dev/shm")


def shared_memory():
    """Names of what lies in shared memory."""
    return {path.name for path in SHARED_MEMORY.iterdir()}


def left_in_shared_memory(before, within=30.0):
    """Names that were not there ``before``, stay, and are used by no process outside of this one's family."""
    deadline = time.monotonic() + within
    while (found := _not_of_others(shared_memory() - before)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return found


def _not_of_others(names):
    if not names:
        return names
    family = {psutil.Process().pid, *(child.pid for child in psutil.Process().children(recursive=True))}
    for process in psutil.process_iter():
        if process.pid not in family:
            try:
                maps = Path(f"/proc/{process.pid}/maps").read_text()
            except OSError:
                continue
            names = {name for name in names if name not in maps}
    return names


def workers():
    """Our children, without the tracker that Python itself keeps for the life of the interpreter."""
    children = psutil.Process().children(recursive=True)
    return {child.pid for child in children if "resource_tracker" not in " ".join(child.cmdline())}


def dyadic(rng, *shape, scale=16):
    """Random multiples of 1/scale in [-1/2, 1/2]."""
    return rng.integers(-scale // 2, scale // 2 + 1, shape) / scale


def graded(rng, *shape):
    """Random values 0, 1, 2 or 4, as a one-hot neuron of three lanes sends them."""
    return rng.choice([0.0, 0.0, 1.0, 2.0, 4.0], shape)


def flatten(shape, start=0):
    return nir.Flatten({"input": np.array(shape)}, start_dim=start, end_dim=-1)


def chain(nodes, shape):
    """Input → nodes → Output."""
    names = ["input", *nodes, "output"]
    every = {"input": nir.Input(np.array(shape)), **nodes, "output": nir.Output(None)}
    return build_graph(every, list(pairwise(names)))


def dense(rng, inputs, outputs):
    return nir.Affine(dyadic(rng, outputs, inputs), dyadic(rng, outputs))


def conv(rng, channels, outputs, kernel, stride=1, padding=0, dilation=1, groups=1):
    weight = dyadic(rng, outputs, channels // groups, *kernel)
    return nir.Conv2d(None, weight, stride, padding, dilation, groups, dyadic(rng, outputs))


def two_layers(seed=0, inputs=12, hidden=20, outputs=5):
    """Two dense layers of one-hot neurons."""
    rng = np.random.default_rng(seed)
    nodes = {
        "a": dense(rng, inputs, hidden),
        "n": MultiLevelLIF.one_hot((hidden,), 3, decay=0.5),
        "b": dense(rng, hidden, outputs),
        "m": MultiLevelLIF.one_hot((outputs,), 2),
    }
    return chain(nodes, (inputs,))


def residual(seed=1):
    """Convolution, a block whose shortcut joins the second neuron's current, pools and a dense readout."""
    rng = np.random.default_rng(seed)
    nodes = {
        "input": nir.Input(np.array((2, 9, 8))),
        "stem": conv(rng, 2, 4, (3, 3), padding=1),
        "n0": MultiLevelLIF.one_hot((4, 9, 8), 3),
        "c1": conv(rng, 4, 4, (3, 3), padding=1),
        "n1": MultiLevelLIF.one_hot((4, 9, 8), 3, decay=0.5, reset="value"),
        "c2": conv(rng, 4, 4, (3, 2), padding=(1, 1), stride=1),
        "narrow": conv(rng, 4, 4, (1, 2), padding=(0, 1)),
        "n2": MultiLevelLIF.one_hot((4, 9, 9), 3, boundary=">="),
        "pool": nir.AvgPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0])),
        "max": MaxPool2d((3, 3), (1, 1), (1, 1)),
        "flat": flatten((4, 4, 4)),
        "fc": dense(rng, 64, 6),
        "output": nir.Output(None),
    }
    edges = [
        ("input", "stem"), ("stem", "n0"), ("n0", "c1"), ("c1", "n1"), ("n1", "c2"), ("c2", "n2"), ("n0", "narrow"),
        ("narrow", "n2"), ("n2", "pool"), ("pool", "max"), ("max", "flat"), ("flat", "fc"), ("fc", "output"),
    ]  # fmt: skip
    return build_graph(nodes, edges)


def reference_run(graph, x, record=(), dt=None):
    with nirbridge.compile(graph, dt=dt) as program:
        return program.run(x, record)


def assert_same(expected, found):
    """Outputs and records are equal, value by value, and not all of them are silent."""
    pairs = {"output": (expected.output, found.output)}
    if isinstance(expected.output, dict):
        assert expected.output.keys() == found.output.keys()
        pairs = {name: (expected.output[name], found.output[name]) for name in expected.output}
    assert expected.records.keys() == found.records.keys()
    pairs |= {f"record {name}": (expected.records[name], found.records[name]) for name in expected.records}
    for name, (left, right) in pairs.items():
        np.testing.assert_array_equal(right, left, err_msg=name)
        assert np.any(left), f"{name} is silent, so its equality shows nothing"
