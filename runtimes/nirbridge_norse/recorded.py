"""One step of a program as a CUDA graph: one launch instead of one for each operation.

So far this has only been tried with a stand-in for CUDA's graphs: no card was at hand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from nirbridge.ir import SparseMatrix, spec_of
from nirbridge.runtime import Plan
from nirbridge_norse.setting import Setting

Tensors = dict[str, Tensor]


def can_record(plan: Plan, setting: Setting) -> bool:
    """Whether a step is nothing but operations on the card, and its states are those of neurons.

    Only where results need not be exact, until a card has shown that replayed steps are right.
    """
    if setting.device.type != "cuda" or setting.exact or not plan.stepwise:
        return False
    return all(
        planned.loop is None
        and spec_of(planned.node).operation != "delay"
        and not isinstance(getattr(planned.node, "weight", None), SparseMatrix)
        for planned in plan.nodes
    )


class RecordedStep:
    """A step for each batch size: the first runs as it is, the second is recorded, from then on it is replayed.

    Args:
        run: inputs of one step → outputs.
        stages: of the program; those with a ``state`` have tuples of tensors there, once a step has run.
    """

    def __init__(self, run: Callable[[Tensors], Tensors], stages: Iterable[Any]) -> None:
        self._run = run
        self._neurons = [stage for stage in stages if hasattr(stage, "state")]
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
        before = [neuron.state for neuron in self._neurons]

        def settle() -> None:
            """Puts the states where every replay reads them."""
            for neuron, state in zip(self._neurons, before, strict=True):
                if neuron.state is not state:
                    for old, new in zip(state, [part.clone() for part in neuron.state], strict=True):
                        old.copy_(new)
                    neuron.state = state

        def work() -> Tensors:
            outputs = self._run(held)
            settle()
            return outputs

        replay, outputs = record(work)

        def step(values: Tensors) -> Tensors:
            settle()
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
