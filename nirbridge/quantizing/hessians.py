"""What enters the synapses of a graph on data, as the Hessians by which GPTQ rounds their weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from nirbridge.ir import FlatGraph, PhaseDecode, PhaseIF, Source, spec_of
from nirbridge.primitives.spec import Array
from nirbridge.quantizing.calibrating import fast_runtime
from nirbridge.quantizing.patches import gram, patches
from nirbridge.runtime import compile
from nirbridge.runtime.recording import arriving

ROWS = 8192
"""Output places of a layer that are looked at: several times as many as a layer has inputs change nothing any more."""
SYNAPSES = ("matrix", "convolution")


def hessians(flat: FlatGraph, x: Mapping[str, Array], dt: float) -> dict[str, Array]:
    r"""H = 2 X X^T for every matrix and convolution of a graph in floating point, by name.

    Columns of X are what enters at each step; before a phase code they are the decoded sums of a window,
    :math:`\sum_t Q^{-t} x(t)`, because these are what the neuron compares: its sum and the weights may change places.

    Args:
        flat: the graph.
        x: data [T, B, *shape] by input name.
        dt: seconds per step.

    Returns:
        [G, in, in] of convolutions with G groups, [..., in, in] of matrices with leading axes [..., out, in].
    """
    layers = [name for name, node in flat.nodes.items() if spec_of(node).operation in SYNAPSES]
    if not layers:
        return {}
    sources = sorted({source for name in layers for source in flat.sources(name)})
    samples = next(iter(x.values())).shape[1]
    found: dict[str, Array] = {}
    with compile(flat, fast_runtime(), dt=dt, precision="float") as program:
        for part, recording in program.run_in_parts(x, samples, sources):
            most = max(1, ROWS * next(iter(part.values())).shape[1] // samples)
            for name in layers:
                entering = _entering(recording.records, flat.topology.incoming[name], _code_behind(flat, name))
                found[name] = found.get(name, 0) + gram(patches(flat.nodes[name], entering, most))
    return found


def _entering(records: Mapping[str, Array], sources: Sequence[Source], code: tuple[int, float] | None) -> Array:
    """[N, *shape]: what a node takes, steps and samples in one axis; of a code (phases, base) the decoded sums."""
    total = sum(arriving(records, source) for source in sources)
    assert isinstance(total, np.ndarray)
    if code is not None:
        phases, base = code
        windows = total.reshape(-1, phases, *total.shape[1:])
        total = np.tensordot(windows, base ** -np.arange(1.0, phases + 1), (1, 0))
    return total.reshape(-1, *total.shape[2:])


def _code_behind(flat: FlatGraph, name: str) -> tuple[int, float] | None:
    """(phases, base) by which the next neuron or readout adds up what a synapse sends; None where it works by steps."""
    pending, seen = [name], {name}
    while pending:
        for target in flat.targets(pending.pop()):
            node = flat.nodes[target]
            if type(node) is PhaseIF:
                return node.phases, node.base_in
            if type(node) is PhaseDecode:
                return node.phases, node.base
            if target not in seen and not spec_of(node).has_membrane:
                seen.add(target)
                pending.append(target)
    return None
