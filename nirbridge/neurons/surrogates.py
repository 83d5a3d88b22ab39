"""Surrogate derivatives for the step that a threshold is, each with the smooth function that it is the slope of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from nirbridge.neurons.arguments import choose, positive


class Surrogate(Protocol):
    """What a neuron needs of a surrogate: any object with these two methods will do."""

    def derivative(self, r: Tensor) -> Tensor:
        """h(r), for the dimensionless distance r to the threshold; same shape as ``r``."""

    def primitive(self, r: Tensor) -> Tensor:
        """H(r), the integral of h from minus infinity to r; same shape as ``r``."""


def _hat_area(r: Tensor) -> Tensor:
    """Integral of max(0, 1 - |r|) from minus infinity to r, which ends at 1."""
    r = r.clamp(-1.0, 1.0)
    return 0.5 + r - 0.5 * r * r.abs()


@dataclass(frozen=True)
class Triangle:
    """h(r) = γ max(0, 1 - |r|).

    Args:
        gamma: γ, the height at the threshold and the area below h.

    Raises:
        InputError: γ is not a positive number.

    Source: Abillama et al., IEEE Access 2025, training of static images (γ = 0.3).
    """

    gamma: float = 0.3

    def __post_init__(self) -> None:
        positive("Triangle", "gamma", self.gamma)

    def derivative(self, r: Tensor) -> Tensor:
        """h(r), same shape as ``r``."""
        return self.gamma * (1.0 - r.abs()).clamp(min=0.0)

    def primitive(self, r: Tensor) -> Tensor:
        """H(r), from 0 to γ."""
        return self.gamma * _hat_area(r)


@dataclass(frozen=True)
class Tet:
    """h(r) = max(0, g - |r|) / g², of area 1.

    Args:
        g: half the width of the triangle.

    Raises:
        InputError: g is not a positive number.

    Source: Abillama et al., IEEE Access 2025, training of event recordings (g = 1).
    """

    g: float = 1.0

    def __post_init__(self) -> None:
        positive("Tet", "g", self.g)

    def derivative(self, r: Tensor) -> Tensor:
        """h(r), same shape as ``r``."""
        return (self.g - r.abs()).clamp(min=0.0) / (self.g * self.g)

    def primitive(self, r: Tensor) -> Tensor:
        """H(r), from 0 to 1."""
        return _hat_area(r / self.g)


@dataclass(frozen=True)
class Sigmoid:
    """h(r) = α σ(α r) (1 - σ(α r)), the slope of the logistic function σ(α r).

    Args:
        alpha: α, the steepness.

    Raises:
        InputError: α is not a positive number.

    Source: Abillama et al., IEEE Access 2025, spike-driven transformer (α = 4); Castagnetti, Pegatoquet and Miramond,
    2025 (α = 5).
    """

    alpha: float = 4.0

    def __post_init__(self) -> None:
        positive("Sigmoid", "alpha", self.alpha)

    def derivative(self, r: Tensor) -> Tensor:
        """h(r), same shape as ``r``."""
        s = torch.sigmoid(self.alpha * r)
        return self.alpha * s * (1.0 - s)

    def primitive(self, r: Tensor) -> Tensor:
        """H(r) = σ(α r), from 0 to 1."""
        return torch.sigmoid(self.alpha * r)


SURROGATES: dict[str, Callable[..., Surrogate]] = {"triangle": Triangle, "tet": Tet, "sigmoid": Sigmoid}


def as_surrogate(owner: str, surrogate: Surrogate | str) -> Surrogate:
    """The surrogate itself, or the one of that name with its default width.

    Args:
        owner: the class that asks, for the error.
        surrogate: an object with ``derivative`` and ``primitive``, or a name in ``SURROGATES``.

    Raises:
        InputError: an unknown name, or an object without the two methods.
    """
    if hasattr(surrogate, "derivative") and hasattr(surrogate, "primitive"):
        return surrogate
    return SURROGATES[choose(owner, "surrogate", surrogate, tuple(SURROGATES))]()
