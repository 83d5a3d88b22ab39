"""A node of neurons against one warm copy of its data."""

from __future__ import annotations

from collections.abc import Callable

import nir
import numpy as np

import nirbridge
from nirbridge.ir import MultiLevelLIF, build_graph
from nirbridge.runtime import make_plan

from .measuring import OURS, Row, Section, in_turns, only, over, profiled

NAME, TITLE = "neurons", "A node of neurons over a copy of its data"
ABOUT = """Input → neurons → Output by `Program.run` on float32 [T, 1, 64, 48, 48], over `numpy.copyto` into memory
that is there already: 10 MB lie in a large cache, 94 MB do not. "kernel" is the neuron's stage alone, which may
overwrite the data; they are copied anew (untimed) for each round. CPU time of one thread. Outputs equal the
reference's (10 MB, dyadic data)."""
SHAPE, STEPS, DYADIC, DT = (64, 48, 48), {"10 MB": 17, "94 MB": 160}, 2.0**-4, 1e-3
RUN, KERNEL = {"10 MB": 2.8, "94 MB": 2.0}, 1.5
NEURONS: dict[str, Callable[[tuple[int, ...]], nir.NIRNode]] = {
    "LIF": lambda shape: nir.LIF(*(np.full(shape, value) for value in (2e-3, 2.0, 0.0, 1.0)), v_reset=np.zeros(shape)),
    "IF": lambda shape: nir.IF(np.ones(shape), np.ones(shape), np.zeros(shape)),
    "M-LIF, 3 lanes": lambda shape: MultiLevelLIF.one_hot(shape, 3, decay=0.5),
}
WHY = {
    "kernel": "The pass reads and writes the data once; above a copy, which writes past the cache, it also computes.",
    "run": "Before the pass a run reads its data once, to see that they are finite, which takes half of a copy.",
}


def make_graph(name: str, shape: tuple[int, ...]) -> nir.NIRGraph:
    """Input → neurons → Output."""
    nodes = {"input": nir.Input(np.array(shape)), "neuron": NEURONS[name](shape), "output": nir.Output(np.array(shape))}
    return build_graph(nodes, [("input", "neuron"), ("neuron", "output")])


def kernel_of(graph: nir.NIRGraph, x: np.ndarray) -> Callable[[], object]:
    """The neuron's stage alone, which may overwrite ``x`` [T, B, ...]; its state goes on."""
    import torch

    from nirbridge_norse.lowering import LOWERING
    from nirbridge_norse.setting import make_setting

    planned = make_plan(graph, DT)["neuron"]
    stage = LOWERING[type(planned.node)](planned, make_setting(DT, dtype="float32"))
    data = torch.from_numpy(x)
    return lambda: stage.run(data, True)


def measure(quick: bool = False) -> Section:
    """All rows."""
    section, shape = Section(), (4, 8, 8) if quick else SHAPE
    rng = np.random.default_rng(0)
    for size, steps in STEPS.items():
        x = (rng.integers(-8, 40, (steps, 1, *shape)) * DYADIC).astype(np.float32)
        warm, data = np.empty_like(x), x.copy()
        runs: dict[str, Callable[[], object]] = {"copy": lambda x=x, warm=warm: np.copyto(warm, x)}
        for name in NEURONS:
            graph = make_graph(name, shape)
            program = nirbridge.compile(graph, "norse", dt=DT)
            if size == "10 MB":
                expected = nirbridge.compile(graph, "reference", dt=DT).run(x).output
                np.testing.assert_array_equal(program.run(x).output, expected)
            runs[f"{OURS}, {name}"] = lambda program=program, x=x: program.run(x)
            runs[f"kernel, {name}"] = kernel_of(graph, data)
        rounds = 1 if quick else 5 if steps > 100 else 15
        seconds = in_turns(runs, rounds, before=lambda data=data, x=x: np.copyto(data, x))
        for name in NEURONS:
            for kind, target, mine in (("run", RUN[size], f"{OURS}, {name}"), ("kernel", KERNEL, f"kernel, {name}")):
                values, profile = over(seconds, mine, "copy"), profiled(runs[mine]) if kind == "run" else ""
                what = f"{name}, {size}, {kind} over a copy"
                section.rows.append(
                    Row(what, values, target, seconds=only(seconds, mine, "copy"), profile=profile)
                )  # fmt: skip
    return section
