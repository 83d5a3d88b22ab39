"""Graphs that hold every primitive, for tests of files and shapes."""

from __future__ import annotations

import itertools

import nir
import numpy as np

from nirbridge.ir import (
    Aggregate,
    EventInput,
    MaxPool2d,
    MultiLevelLIF,
    PhaseDecode,
    PhaseEncode,
    PhaseIF,
    Place,
    Product,
    Quantize,
    SparseMatrix,
    TemporalMix,
)


def chain(*nodes: nir.NIRNode, shape: tuple[int, ...], out: tuple[int, ...]) -> nir.NIRGraph:
    """input → n0 → n1 → ... → output, unchecked."""
    named = {"input": nir.Input(np.array(shape)), **{f"n{i}": node for i, node in enumerate(nodes)}}
    named["output"] = nir.Output(np.array(out))
    names = list(named)
    return nir.NIRGraph(named, list(itertools.pairwise(names)), type_check=False)


def _per_neuron(*shape: int) -> np.ndarray:
    return np.arange(1, 1 + int(np.prod(shape)), dtype=np.float32).reshape(shape) / 8


def every_node() -> dict[str, nir.NIRNode]:
    """One node of every primitive, with odd dtypes and scalars on purpose."""
    p = _per_neuron(4)
    return {
        "input": nir.Input(np.array([4])),
        "events": EventInput((2, 3, 4), (8, 6), 10_000, 4, 3, "one-hot", "or"),
        "affine": nir.Affine(np.eye(4, dtype=np.float32), np.zeros(4, dtype=np.float64)),
        "linear": nir.Linear(np.eye(4)),
        "scale": nir.Scale(p),
        "conv1d": nir.Conv1d(9, np.ones((2, 1, 3), np.float32), 2, "valid", 1, 1, np.zeros(2, np.float32)),
        "conv2d": nir.Conv2d((5, 7), np.ones((2, 1, 3, 2)), (2, 1), (1, 0), 1, 2, np.zeros(2)),
        "conv_open": nir.Conv2d(None, np.ones((2, 1, 3, 3)), 1, "same", 1, 1, np.zeros(2)),
        "sum_pool": nir.SumPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 1])),
        "avg_pool": nir.AvgPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0])),
        "max_pool": MaxPool2d(2, (2, 1), 0),
        "flatten": nir.Flatten({"input": np.array([2, 3])}, 0, -1),
        "flatten_open": nir.Flatten(None, 0, -1),
        "delay": nir.Delay(np.array([0.001, 0.002])),
        "threshold": nir.Threshold(np.array(0.5)),
        "i": nir.I(p),
        "if": nir.IF(p, p, p),
        "li": nir.LI(p, p, p),
        "lif": nir.LIF(p, p, p, p, p),
        "cubali": nir.CubaLI(p, p, p, p, p),
        "cubalif": nir.CubaLIF(p, p, p, p, p, p, p),
        "one_hot": MultiLevelLIF.one_hot((4,), 3, np.float32(0.5), np.float32(0.9)),
        "uniform": MultiLevelLIF.uniform((4, 2), 5, _per_neuron(4, 1), v_init=0.5, output="value"),
        "phase_if": PhaseIF((4,), 8, 4, 2.0, 1.3, p, 0.25, 1, False),
        "phase_if_of_three": PhaseIF((4,), 8, 4, 2.0, 1.3, p, 0.25, 1, False, np.int64(3)),
        "phase_encode": PhaseEncode((4,), 8, 2.0, p),
        "phase_decode": PhaseDecode((4,), 8, 1.3),
        "mix": TemporalMix(np.ones((2, 3), np.float16)),
        "aggregate": Aggregate(np.eye(4, dtype=np.int8)),
        "aggregate_sparse": Aggregate(SparseMatrix((4, 4), [0, 1], [1, 0], np.array([0.5, 2], np.float32))),
        "place": Place((2, 1, 1), (6, 3, 4), np.int64(2), 4),
        "product": Product(np.array([6, 3, 4]), 3),
        "quantize": Quantize((4,), p, np.int8(-128), np.array([1, 2, 3, 4], np.uint16)),
        "nested": nir.NIRGraph(
            {"input": nir.Input(np.array([4])), "z": nir.Scale(p), "output": nir.Output(np.array([4]))},
            [("input", "z"), ("z", "output")],
            type_check=False,
        ),
        "output": nir.Output(np.array([4])),
    }
