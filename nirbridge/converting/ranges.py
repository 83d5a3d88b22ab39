"""λ and the base of the code from what the layers send: ranges that keep unseen data, or those of least error."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from nirbridge.converting.coding import Code
from nirbridge.converting.margins import reach, trial
from nirbridge.converting.markers import Array, Relu
from nirbridge.converting.observing import Observed

PAPER, MARGIN, ERROR = "paper", "margin", "error"
_PARTS = np.geomspace(0.25, 1.5, 16)
"""Of its largest activation, at which a range of least error may end."""
_BASES = np.concatenate([np.arange(1.05, 1.6, 0.025), np.arange(1.6, 2, 0.05), np.arange(2, 4.01, 0.25)])
_NEARLY = 1.2
_VALUES = 4096
"""Of a layer, by which a base is chosen."""


def scale(code: Code, observed: Observed, rule: str, margin: float | None, node: Relu) -> Array:
    r"""λ of a layer, by one of three rules; L is the largest sum that the code has.

    .. math::
        \text{paper: } \lambda = \min(max, ceiling) \qquad
        \text{margin: } \lambda = \text{the reach of } \texttt{margins}/L \qquad
        \text{error: } \lambda = \operatorname{argmin}_\lambda \sum (a - \lambda \hat a(a/\lambda))^2

    Args:
        code: of the layer.
        observed: what it sends; its ``largest`` above 0.
        rule: "paper", "margin" or "error".
        margin: what unseen data may have above the largest of the calibration data; None to let halves of them tell.
        node: the activation; a code for one with a ceiling ends there at most.
    """
    largest = observed.largest
    if rule == PAPER:
        return np.minimum(largest, node.ceiling)
    if rule == MARGIN:
        return reach(largest, trial(code, observed, node, margin).best(code), node) / code.largest
    tops = torch.tensor(np.minimum(np.multiply.outer(_PARTS, largest.ravel()), node.ceiling))
    errors = torch.stack([_errors(code, observed.sample.double(), top) for top in tops])
    chosen = tops.gather(0, errors.argmin(0)[None])[0].numpy()
    return chosen.reshape(largest.shape) / code.largest


def best_code(
    code: Code,
    layers: Mapping[str, Observed],
    rule: str,
    margin: float | None,
    nodes: Mapping[str, Relu],
    most: float = np.inf,
) -> Code:
    """``code`` with the base up to ``most`` whose squared error is the least over the layers.

    That of each layer counts in parts of its own power.

    With "margin", of bases that are nearly as good the smallest: it rounds large values more finely, and what it loses
    of small ones the biases make up for.
    """
    losses = [_loss(code, layers[name], rule, margin, nodes[name]) for name in layers]
    errors = {tried: sum(loss(tried) for loss in losses) for tried in _codes(code, most)}
    enough = (1.0 if rule == ERROR else _NEARLY) * min(errors.values())
    return next(tried for tried, error in errors.items() if error <= enough)


def _codes(code: Code, most: float) -> Iterator[Code]:
    return (_with_base(code, round(float(base), 3)) for base in _BASES if base <= most)


@lru_cache(maxsize=len(_BASES))
def _with_base(code: Code, base: float) -> Code:
    """A code that knows its staircase from the layer before."""
    return replace(code, base=base)


def _loss(code: Code, observed: Observed, rule: str, margin: float | None, node: Relu) -> Callable[[Code], float]:
    """What a code with another base loses of a layer at best."""
    if rule == MARGIN:
        tried = trial(code, observed, node, margin)
        return lambda code: float(tried.losses(code).min())
    tops = np.minimum(observed.largest, node.ceiling).reshape(-1, 1)
    values = (observed.sample.double() / torch.tensor(tops))[observed.sample > 0]
    values = values[:: max(1, len(values) // _VALUES)]
    power, parts = float((values**2).sum()) or 1.0, torch.tensor(_PARTS)
    return lambda code: float(_errors(code, values[None], parts).min()) / power


def _errors(code: Code, rows: Tensor, tops: Tensor) -> Tensor:
    """Squared error of each row where the code ends at its place of ``tops``."""
    scales = (tops / code.largest)[:, None]
    return ((rows - scales * code(rows / scales)) ** 2).sum(1)
