"""λ and the base of the code from what the layers send: ranges that keep unseen data, or those of least error."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from nirbridge.converting.coding import Code
from nirbridge.converting.markers import Array, Relu
from nirbridge.converting.observing import Observed

PAPER, MARGIN, ERROR = "paper", "margin", "error"
_SPREADS = 5
"""Standard deviations above the mean that few values exceed."""
_ROOM, _ROOM_OF_SEVERAL = 1.5, 5.0
_SAMPLES = 64
_PARTS = np.geomspace(0.25, 1.5, 16)
"""Of its largest activation, at which a range of least error may end."""
_BASES = np.concatenate([np.arange(1.05, 1.6, 0.025), np.arange(1.6, 2, 0.05), np.arange(2, 4.01, 0.25)])
_NEARLY = 1.2
_VALUES = 4096
"""Of a layer, by which a base is chosen."""


def scale(code: Code, observed: Observed, rule: str, margin: float, node: Relu) -> Array:
    r"""λ of a layer, by one of three rules; L is the largest sum that the code has.

    .. math::
        \text{paper: } \lambda = \min(max, ceiling) \qquad
        \text{margin: } \lambda = \min(\max(margin \cdot max, \beta + 5 |\gamma|), ceiling)/L \qquad
        \text{error: } \lambda = \operatorname{argmin}_\lambda \sum (a - \lambda \hat a(a/\lambda))^2

    Args:
        code: of the layer.
        observed: what it sends; its ``largest`` above 0.
        rule: "paper", "margin" or "error".
        margin: what unseen data may have above the largest of the calibration data.
        node: the activation; a code for one with a ceiling ends there at most.
    """
    largest = observed.largest
    if rule == PAPER:
        return np.minimum(largest, node.ceiling)
    if rule == MARGIN:
        return _with_margin(observed, margin, node) / code.largest
    tops = torch.tensor(np.minimum(np.multiply.outer(_PARTS, largest.ravel()), node.ceiling))
    errors = torch.stack([_errors(code, observed.sample.double(), top) for top in tops])
    chosen = tops.gather(0, errors.argmin(0)[None])[0].numpy()
    return chosen.reshape(largest.shape) / code.largest


def room(samples: int, spikes: int) -> float:
    r"""The margin for so many calibration samples: the fewer, the less is known of the largest activations.

    .. math::
        1 + r \min(1, \sqrt{64/N}), \qquad r = 1.5 \text{ for one spike, for which room costs resolution, else } 5
    """
    return 1 + (_ROOM if spikes == 1 else _ROOM_OF_SEVERAL) * min(1.0, math.sqrt(_SAMPLES / samples))


def _with_margin(observed: Observed, margin: float, node: Relu) -> Array:
    """A batch normalisation knows more data than those of the calibration; how much more is limited."""
    reach = node.center + _SPREADS * node.spread
    reach = reach if observed.largest.size > 1 else reach.max()  # a range for each channel, or one for the layer
    reach = np.minimum(reach, margin**2 * observed.largest)
    return np.minimum(np.maximum(margin * observed.largest, reach), node.ceiling)


def best_code(
    code: Code,
    layers: Mapping[str, Observed],
    rule: str,
    margin: float,
    nodes: Mapping[str, Relu],
    most: float = np.inf,
) -> Code:
    """``code`` with the base up to ``most`` whose squared error is the least over the layers.

    That of each layer counts in parts of its own power.

    With "margin", of bases that are nearly as good the smallest: it rounds large values more finely, and what it loses
    of small ones the biases make up for.
    """
    samples = [_normal(layers[name], rule, margin, nodes[name]) for name in layers]
    known = [sample for sample in samples if sample.numel()]
    errors = {tried: sum(_least(tried, sample, rule) for sample in known) for tried in _codes(code, most)}
    enough = (1.0 if rule == ERROR else _NEARLY) * min(errors.values())
    return next(tried for tried, error in errors.items() if error <= enough)


def _codes(code: Code, most: float) -> Iterator[Code]:
    return (_with_base(code, round(float(base), 3)) for base in _BASES if base <= most)


@lru_cache(maxsize=len(_BASES))
def _with_base(code: Code, base: float) -> Code:
    """A code that knows its staircase from the layer before."""
    return replace(code, base=base)


def _normal(observed: Observed, rule: str, margin: float, node: Relu) -> Tensor:
    """Some values above 0 in parts of the largest that the code shall carry; with "error", of the largest there are."""
    top = _with_margin(observed, margin, node) if rule == MARGIN else np.minimum(observed.largest, node.ceiling)
    values = (observed.sample.double() / torch.tensor(top.reshape(-1, 1)))[observed.sample > 0]
    return values[:: max(1, len(values) // _VALUES)]


def _least(code: Code, values: Tensor, rule: str) -> float:
    tops = torch.tensor(_PARTS if rule == ERROR else np.ones(1))
    return float(_errors(code, values[None], tops).min()) / float((values**2).sum())


def _errors(code: Code, rows: Tensor, tops: Tensor) -> Tensor:
    """Squared error of each row where the code ends at its place of ``tops``."""
    scales = (tops / code.largest)[:, None]
    return ((rows - scales * code(rows / scales)) ** 2).sum(1)
