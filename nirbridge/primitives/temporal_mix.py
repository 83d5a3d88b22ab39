"""Mixing over the steps of a window."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import nir
import numpy as np
from numpy.typing import NDArray

from nirbridge.errors import GraphError
from nirbridge.primitives import matrix
from nirbridge.primitives.examples import INTEGER_DT, Draw, Example, chain, signed, weights, whole_numbers
from nirbridge.primitives.fields import Extension, as_number
from nirbridge.primitives.magnitudes import row_sum
from nirbridge.primitives.multi_level_lif import MultiLevelLIF, integer_lanes
from nirbridge.primitives.shaping import as_it_comes, stated
from nirbridge.primitives.spec import ANALOG, STATELESS, Checks, Chip, Cost, Integers, Shown, Spec, Window


@dataclass(eq=False)
class TemporalMix(Extension):
    r"""Temporal-global information matrix: mixes the steps of a window.

    .. math::
        y[t] = \sum_j weight[t, j] \, x[j] \quad \text{within each window of } T_{in} \text{ steps}

    Args:
        weight: (T_out, T_in); a window of T_in input steps gives T_out output steps.

    Raises:
        GraphError: the weight is not a matrix of numbers.

    Source: Hao et al., NeurIPS 2024 (LM-HT), equation 12.
    """

    weight: NDArray[Any]

    def __post_init__(self) -> None:
        self.weight = as_number("TemporalMix", "weight", self.weight)
        if self.weight.ndim != 2 or 0 in self.weight.shape:
            raise GraphError("TemporalMix", f"weight of shape {self.weight.shape} is not a (T_out, T_in) matrix")
        self._set_types(None, None)


def mixed(weight: NDArray[Any], x: NDArray[Any]) -> NDArray[Any]:
    """y[t] = Σ_j weight[t, j] x[j] of one window, summed in the order of j."""
    y = np.zeros((len(weight), *x.shape[1:]), x.dtype)
    for j, frame in enumerate(x):
        y += weight[:, j].reshape(-1, *(1,) * frame.ndim) * frame
    return y


def _examples() -> list[Example]:
    layers = (
        nir.Affine(weights(5, 4), signed(5)),
        TemporalMix(np.full((4, 4), 0.25)),
        MultiLevelLIF.uniform((5,), 4, 0.5, v_init=0.25, output="value"),
        nir.Affine(weights(3, 5), signed(3)),
    )
    return [
        chain("temporal mix", TemporalMix, TemporalMix(weights(4, 4)), shape=(3,)),
        chain("temporal mix 2→3", TemporalMix, TemporalMix(weights(3, 2)), shape=(2, 3)),
        chain("lm-ht", (TemporalMix, MultiLevelLIF), *layers, shape=(4,)),
    ]


def _integer_examples() -> list[Example]:
    lmht = integer_lanes(MultiLevelLIF.uniform((5,), 4, 60, v_init=30))
    weight, back = nir.Linear(whole_numbers(5, 4)), nir.Linear(whole_numbers(4, 5, seed=6))
    layers = weight, TemporalMix(whole_numbers(4, 4, low=0, high=5)), lmht, back
    return [
        chain("temporal mix", TemporalMix, TemporalMix(whole_numbers(4, 4)), shape=(3,), dt=INTEGER_DT),
        chain("temporal mix 2→3", TemporalMix, TemporalMix(whole_numbers(3, 2)), shape=(2, 3), dt=INTEGER_DT),
        chain("lm-ht", (TemporalMix, MultiLevelLIF), *layers, shape=(4,), dt=INTEGER_DT),
    ]


_WINDOW = Window(steps=lambda node: int(node.weight.shape[1]), ratio=lambda node: Fraction(*node.weight.shape))
SPEC = Spec(
    **(STATELESS | {"window": _WINDOW}),
    node=TemporalMix,
    shape=as_it_comes,
    states=stated,
    operation="temporal mix",
    by_hand="it works on whole windows, as a product with a matrix over their steps",
    sends=ANALOG,
    floats=matrix.FLOATS,
    integers=Integers(
        fields=("weight",),
        grows=lambda node, x: row_sum(node.weight, (1,)) * x,
        quantise="mix",
    ),
    cost=Cost(role="mixing over time"),
    chip=Chip(place="population", fixed=lambda node: "keeps and mixes the steps of a window"),
    shown=Shown(role="time", fields=("weight",)),
    checks=Checks(),
    draws=(Draw(lambda dice, shape: TemporalMix(dice.number((4, 4), -1, 3, 0.25)), when="mixed"),),
    examples=_examples,
    integer_examples=_integer_examples,
)
