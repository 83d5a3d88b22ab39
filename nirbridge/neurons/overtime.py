"""Running a network that is written for plain batches over a whole sequence at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from torch import Tensor, nn

from nirbridge.errors import InputError

_WHERE = "OverTime"
_STEPS: ContextVar[int | None] = ContextVar("nirbridge_time_steps", default=None)


def time_steps() -> int | None:
    """T while a network runs inside ``OverTime``, on [T*B, ...]; None outside, where neurons take [T, B, ...]."""
    return _STEPS.get()


@contextmanager
def folded_time(steps: int) -> Iterator[None]:
    """Within the block, neurons read axis 0 of their input as ``steps`` steps times the batch, time first."""
    token = _STEPS.set(steps)
    try:
        yield
    finally:
        _STEPS.reset(token)


def fold(sequence: Tensor) -> Tensor:
    """[T, B, ...] -> [T*B, ...], time first."""
    return sequence.flatten(0, 1)


def unfold(batch: Tensor, steps: int, owner: str) -> Tensor:
    """[T*B, ...] -> [T, B, ...].

    Raises:
        InputError: axis 0 is not a multiple of ``steps``.
    """
    if batch.ndim == 0 or batch.shape[0] % steps:
        found = f"a tensor of shape {tuple(batch.shape)} does not hold {steps} steps of a batch on axis 0"
        raise InputError(owner, found, "Keep time and batch together on axis 0 inside OverTime")
    return batch.reshape(steps, batch.shape[0] // steps, *batch.shape[1:])


def along_time(owner: str, x: Tensor, respond: Callable[[Tensor], Tensor]) -> Tensor:
    """``respond`` of ``x`` [T, B, ...]; inside ``OverTime`` of [T*B, ...], which it gives again.

    Raises:
        InputError: as :func:`unfold`.
    """
    steps = time_steps()
    return respond(x) if steps is None else fold(respond(unfold(x, steps, owner)))


_NEURONS = (
    "norse.torch.module.snn",
    "snntorch._neurons",
    "spikingjelly.activation_based.neuron",
    "sinabs.layers.stateful_layer",
)
"""Where other frameworks define what all of their neurons are."""


def _reads_time_itself(module: nn.Module) -> bool:
    """Recurrent layers of torch, and neurons of other frameworks, which are known by names without importing them."""
    if isinstance(module, (nn.RNNBase, nn.RNNCellBase)):
        return True
    return any(base.__module__.startswith(_NEURONS) for base in type(module).__mro__)


class OverTime(nn.Module):
    """Runs a network written for [B, ...] over [T, B, ...], the spiking neurons in it included.

    Time is folded into the batch, so that every convolution, normalisation, pooling or addition runs once on
    [T*B, ...]; a spiking neuron of ``nirbridge.neurons`` unfolds the time axis by itself and keeps its state from
    step to step. The state starts anew at each call. BatchNorm in training mode takes its statistics over time and
    batch.

    Args:
        module: the network; stays reachable as ``.module``.

    Shapes:
        input [T, B, *in], output [T, B, *out].

    Raises:
        InputError: the network holds or sits in another ``OverTime``, it holds a layer with a state of its own
            (``nn.LSTM``, neurons of Norse, snnTorch, spikingjelly and sinabs), the input has fewer than two axes or no
            step, or the network changes axis 0.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        if not isinstance(module, nn.Module):
            raise InputError(_WHERE, f"wraps a {type(module).__name__}, not a torch module", "Pass an nn.Module")
        if any(isinstance(inner, OverTime) for inner in module.modules()):
            raise InputError(_WHERE, "the network holds another OverTime", "Wrap the whole network once")
        for name, inner in module.named_modules():
            if _reads_time_itself(inner):
                found = f"layer '{name}' ({type(inner).__name__}) has a state of its own and would take time for batch"
                raise InputError(_WHERE, found, "Use neurons of nirbridge.neurons, or loop over the steps")
        self.module = module

    def forward(self, x: Tensor) -> Tensor:
        """[T, B, *in] -> [T, B, *out]."""
        if time_steps() is not None:
            raise InputError(_WHERE, "called inside another OverTime", "Wrap the whole network once")
        if x.ndim < 2 or x.shape[0] < 1:
            raise InputError(
                _WHERE, f"input of shape {tuple(x.shape)} is not [T, B, ...] with T >= 1", "Add the time axis"
            )
        with folded_time(x.shape[0]):
            y = self.module(fold(x))
        if not isinstance(y, Tensor) or y.ndim == 0 or y.shape[0] != x.shape[0] * x.shape[1]:
            found = f"shape {tuple(y.shape)}" if isinstance(y, Tensor) else f"a {type(y).__name__}"
            raise InputError(
                _WHERE,
                f"the network turned {x.shape[0]} steps of {x.shape[1]} samples into {found}",
                "Return one tensor whose axis 0 is that of the input",
            )
        return y.reshape(*x.shape[:2], *y.shape[1:])
