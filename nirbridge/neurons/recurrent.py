"""A neuron that hears what it sent a step ago."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nirbridge.errors import InputError
from nirbridge.neurons.base import SpikingNeuron
from nirbridge.neurons.lmht import LMHT
from nirbridge.neurons.overtime import OverTime, along_time, folded_time
from nirbridge.neurons.primitive import PrimitiveNeuron
from nirbridge.neurons.qcfs import QCFS

_WHERE = "Recurrent"
_KEEP_STATE = (SpikingNeuron, PrimitiveNeuron, QCFS, OverTime)


class Recurrent(nn.Module):
    r"""A layer of neurons whose output comes back to them one step later.

    .. math::
        y[t] = \text{neuron}(x[t] + \text{feedback}(y[t-1])), \qquad y[-1] = 0

    Trained by backpropagation through time; exported, it is a cycle in the graph.  ``nn.Linear(n, n)`` connects all to
    all, a convolution with "same" padding each neuron to its surroundings, ``nn.Identity()`` each to itself.

    Args:
        neuron: ``MultiLevelLIF``, ``MultiLevelIF``, ``Barrier`` or a ``PrimitiveNeuron``.
        feedback: a module over [B, *shape] that keeps the shape and has no state of its own.

    Shapes:
        input and output [T, B, *shape]; inside ``OverTime`` [T*B, *shape].

    Raises:
        InputError: the neuron does not work step by step, the feedback holds neurons, or it changes the shape.

    Source: Bellec et al., "Long short-term memory and learning-to-learn in networks of spiking neurons", NeurIPS 2018.
    """

    def __init__(self, neuron: SpikingNeuron | PrimitiveNeuron, feedback: nn.Module) -> None:
        super().__init__()
        if not isinstance(neuron, (SpikingNeuron, PrimitiveNeuron)) or isinstance(neuron, LMHT):
            found = f"a {type(neuron).__name__} does not work step by step"
            raise InputError(_WHERE, found, "Take MultiLevelLIF, MultiLevelIF, Barrier or a PrimitiveNeuron")
        if not isinstance(feedback, nn.Module):
            raise InputError(_WHERE, f"feedback is a {type(feedback).__name__}, not a torch module", "Pass a module")
        for name, inner in feedback.named_modules():
            if isinstance(inner, _KEEP_STATE):
                found = f"feedback holds {type(inner).__name__} '{name}', whose state it would lose at each step"
                raise InputError(_WHERE, found, "Leave neurons out of the feedback")
        self.neuron = neuron
        self.feedback = feedback

    def forward(self, x: Tensor) -> Tensor:
        """[T, B, *shape] -> [T, B, *shape]; inside ``OverTime`` the same with [T*B, *shape]."""
        return along_time(_WHERE, x, self._run)

    def _run(self, sequence: Tensor) -> Tensor:
        step, state = self.neuron.begin(sequence)
        y = torch.zeros_like(sequence[0])
        sent = []
        for current in sequence.unbind(0):
            back = self._back(y)
            if back.shape != current.shape:
                found = f"feedback makes {tuple(back.shape[1:])} of {tuple(current.shape[1:])}"
                raise InputError(_WHERE, found, "Give a feedback that keeps the shape")
            y, state = step(current + back, state)
            sent.append(y)
        return torch.stack(sent)

    def _back(self, y: Tensor) -> Tensor:
        """One step of the feedback, which is none of the steps that an ``OverTime`` around it counts."""
        with folded_time(1):
            back: Tensor = self.feedback(y)
        return back
