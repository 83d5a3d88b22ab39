"""Small networks with levels, signs, phases and membranes, whose activity pictures show."""

from __future__ import annotations

from itertools import pairwise

import nir
import numpy as np

from nirbridge.ir import MultiLevelLIF, PhaseDecode, PhaseEncode, PhaseIF, build_graph

STEPS, SAMPLES, INPUTS, HIDDEN, CLASSES = 12, 3, 6, 20, 4


def line(*nodes: nir.NIRNode, shape: tuple[int, ...]) -> nir.NIRGraph:
    """``n0``, ``n1``, .. between ``input`` and ``output``."""
    named = {"input": nir.Input(np.array(shape)), **{f"n{i}": node for i, node in enumerate(nodes)}}
    named["output"] = nir.Output(None)
    names = list(named)
    return build_graph(named, list(pairwise(names)))


def levels_graph(**neuron: object) -> nir.NIRGraph:
    """``n1`` sends 1, 2 or 4 and ``n2`` reads it out into four classes."""
    rng = np.random.default_rng(3)
    act = MultiLevelLIF.one_hot((HIDDEN,), 3, 1.0, 0.5, **neuron)  # type: ignore[arg-type]
    first, last = rng.normal(size=(HIDDEN, INPUTS)), rng.normal(size=(CLASSES, HIDDEN))
    return line(nir.Linear(first), act, nir.Linear(last), shape=(INPUTS,))


def data() -> np.ndarray:
    """[T, B, 6], other for every sample."""
    return np.random.default_rng(4).uniform(-1, 3, (STEPS, SAMPLES, INPUTS))


def phase_graph() -> nir.NIRGraph:
    """``n2`` sends one spike in each window of 4 phases, ``n4`` adds its phases up."""
    rng = np.random.default_rng(5)
    code, fire = PhaseEncode((4,), 4, 2.0, 1.0), PhaseIF((5,), 4, 4, 2.0, 2.0, 1.0, 0.0)
    weights = nir.Linear(rng.normal(size=(5, 4))), nir.Linear(rng.normal(size=(3, 5)))
    return line(code, weights[0], fire, weights[1], PhaseDecode((3,), 4), shape=(4,))


def film_graph() -> nir.NIRGraph:
    """Frames of two polarities, for films."""
    weight = np.random.default_rng(6).normal(size=(3, 32))
    return line(nir.Flatten({"input": np.array([2, 4, 4])}, 0, -1), nir.Linear(weight), nir.IF(
        np.ones(3), np.ones(3), np.zeros(3)), shape=(2, 4, 4))  # fmt: skip
