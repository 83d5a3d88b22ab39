"""Any primitive that states its step, as a module to train with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from nirbridge.errors import InputError
from nirbridge.neurons.arguments import number_or_tensor, require_fitting
from nirbridge.neurons.comparing import SurrogateComparisons
from nirbridge.neurons.dynamics import run
from nirbridge.neurons.overtime import along_time
from nirbridge.neurons.surrogates import Sigmoid, Surrogate
from nirbridge.primitives import Spec
from nirbridge.primitives.fields import NOT_FIELDS

_NOT_VALUES = ("shape", *NOT_FIELDS)


class PrimitiveNeuron(nn.Module):
    """The neuron of a primitive over [T, B, *shape]; inside ``OverTime`` over [T*B, *shape].

    Forward is the primitive's own step in torch, one step after the other, so it is what the exported node computes.
    Backward, each comparison has the slope h(a - b) of the surrogate; what depends on it, as a reset, passes gradients
    on like everything else.  One call is one run, from the fresh state.

    Args:
        spec: the primitive; its ``operation`` must be "step".
        surrogate: h, by default the sigmoid with α = 4.
        learn: names of the values that are trained.
        dt: seconds per step, for primitives with time constants; ``export`` must be given the same.
        values: every field of the node but its shape: a number, or a tensor that broadcasts to the features.

    Raises:
        InputError: a value is missing, unknown or not finite, or the primitive has no step.
    """

    def __init__(
        self,
        spec: Spec,
        surrogate: Surrogate | None = None,
        learn: tuple[str, ...] = (),
        dt: float = 1e-3,
        **values: Any,
    ) -> None:
        super().__init__()
        self.spec, self.dt = spec, dt
        self.surrogate = Sigmoid(4.0) if surrogate is None else surrogate
        self._owner = spec.node.__name__
        if spec.operation != "step" or spec.dynamics is None:
            raise InputError(self._owner, "states no step", "Take one of the modules of nirbridge.neurons")
        self.names = tuple(f.name for f in fields(spec.node) if f.name not in _NOT_VALUES)
        wrong = sorted({*values, *learn} ^ {*self.names, *learn}) or sorted({*learn} - {*self.names})
        if wrong:
            state = "is unknown" if wrong[0] not in self.names else "is missing"
            raise InputError(self._owner, f"{wrong[0]} {state}", f"Its values are {', '.join(self.names)}")
        for name in self.names:
            value = torch.as_tensor(number_or_tensor(self._owner, name, values[name]), dtype=None)
            value = value if value.is_floating_point() else value.to(torch.get_default_dtype())
            if name in learn:
                self.register_parameter(name, nn.Parameter(value))
            else:
                self.register_buffer(name, value)

    def forward(self, x: Tensor) -> Tensor:
        """[T, B, *shape] -> [T, B, *shape]; inside ``OverTime`` the same with [T*B, *shape].

        Raises:
            InputError: the input has no time and batch axis, or a value does not broadcast to its features.
        """
        return along_time(self._owner, x, self._run)

    def _run(self, x: Tensor) -> Tensor:
        step, state = self.begin(x)
        return run(x, state, step)

    def begin(self, x: Tensor) -> tuple[Callable[[Tensor, list[Tensor]], tuple[Tensor, list[Tensor]]], list[Tensor]]:
        """A run that goes on step by step: the step (x[t], states) -> (y[t], states), and the states before the first.

        Args:
            x: [T, B, *shape], of which dtype, device and shape count.

        Raises:
            InputError: as of a call.
        """
        require_fitting(self._owner, x, {name: getattr(self, name) for name in self.names})
        dynamics = self.spec.dynamics
        assert dynamics is not None
        dtype = torch.promote_types(x.dtype, next((getattr(self, name).dtype for name in self.names), x.dtype))
        node: Any = SimpleNamespace(**{name: getattr(self, name).to(dtype) for name in self.names})
        parameters = tuple(dynamics.values(node, self.dt).values())
        start = (dynamics.start[name](node) if name in dynamics.start else 0.0 for name in dynamics.state)
        stepped = dynamics.step_of(node, subtract=False)

        def step(frame: Tensor, state: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
            with SurrogateComparisons(self.surrogate):
                y, *after = stepped(frame.to(dtype), *state, *parameters)
            return y.to(dtype), after

        return step, [torch.zeros_like(x[0], dtype=dtype) + value for value in start]

    def extra_repr(self) -> str:
        """The primitive and its values."""
        shown = (
            f"{name}={value.item():g}" if (value := getattr(self, name)).ndim == 0 else f"{name}={tuple(value.shape)}"
            for name in self.names
        )
        return ", ".join((self._owner, *shown))
