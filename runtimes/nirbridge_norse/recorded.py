"""One step of a program as a CUDA graph: one launch instead of one for each operation.

So far this has only been tried with a stand-in for CUDA's graphs: no card was at hand.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from nirbridge.ir import SparseMatrix
from nirbridge.runtime import Plan
from nirbridge_norse.setting import Setting
from nirbridge_norse.stages import Neuron, Stage, Stateless

Tensors = dict[str, Tensor]


def can_record(plan: Plan, stages: Mapping[str, Stage], setting: Setting) -> bool:
    """Whether every state of the program stays at its place in memory, and no operation asks the host.

    Only where results need not be exact, until a card has shown that replayed steps are right.
    """
    if setting.device.type != "cuda" or setting.exact or not plan.stepwise:
        return False
    return all(
        planned.loop is None
        and not isinstance(getattr(planned.node, "weight", None), SparseMatrix)
        and (type(stage) is Stateless or (type(stage) is Neuron and stage.module.fusible))
        for planned in plan.nodes
        for stage in (stages[planned.name],)
    )


class RecordedStep:
    """A step for each batch size: the first runs as it is, the second is recorded, from then on it is replayed.

    Args:
        run: inputs of one step → outputs, with the states changed in place.
    """

    def __init__(self, run: Callable[[Tensors], Tensors]) -> None:
        self._run = run
        self._found: dict[int, Callable[[Tensors], Tensors] | None] = {}

    def __call__(self, inputs: Tensors) -> Tensors:
        """The outputs, which the next call overwrites."""
        batch = next(iter(inputs.values())).shape[1]
        if batch not in self._found:
            self._found[batch] = None
            return self._run(inputs)
        replay = self._found[batch] = self._found[batch] or self._recorded(inputs)
        return replay(inputs)

    def forget(self) -> None:
        """The states were put somewhere else."""
        self._found.clear()

    def _recorded(self, inputs: Tensors) -> Callable[[Tensors], Tensors]:
        held = {name: tensor.clone() for name, tensor in inputs.items()}
        replay, outputs = record(lambda: self._run(held))

        def step(values: Tensors) -> Tensors:
            for name, tensor in values.items():
                held[name].copy_(tensor)
            replay()
            return outputs

        return step


def record(work: Callable[[], Tensors]) -> tuple[Callable[[], Any], Tensors]:
    """Takes down the operations of ``work`` without doing them: (what does them, the tensors that it fills)."""
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        outputs = work()
    return graph.replay, outputs
