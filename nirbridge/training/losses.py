"""Losses over the outputs of all time steps."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from inspect import signature
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from nirbridge.errors import InputError
from nirbridge.neurons.arguments import choose

Loss = Callable[[Tensor, Tensor], Tensor]


def mean_cross_entropy(outputs: Tensor, labels: Tensor, smoothing: float = 0.0) -> Tensor:
    """CE(mean_t y_t), the cross-entropy of the mean output over time; a scalar.

    Args:
        outputs: currents of the last layer [T, B, classes].
        labels: classes [B].
        smoothing: share of each target that is spread over all classes, from 0 to 1.

    Raises:
        InputError: the shapes do not fit, or the smoothing is outside 0 to 1.

    Source: Abillama et al., IEEE Access 2025, training of static images; Hao et al., NeurIPS 2024, direct and
    hybrid training.
    """
    _check(outputs, labels)
    if not 0.0 <= smoothing <= 1.0:  # torch takes what is below for 0
        raise InputError("loss", f"smoothing is {smoothing:g}, not from 0 to 1", "Use 0.1")
    return functional.cross_entropy(outputs.mean(0), labels, label_smoothing=smoothing)


def tet_loss(outputs: Tensor, labels: Tensor, mu: float = 1e-3, target: float = 1.0) -> Tensor:
    """(1 - μ) mean_t CE(y_t) + μ MSE(y, target), the loss of temporal efficient training; a scalar.

    Every step is asked for the right class, so a prediction can stop after any of them; the second term keeps the
    outputs' size even over time.

    Args:
        outputs: currents of the last layer [T, B, classes].
        labels: classes [B].
        mu: μ, from 0 to 1.
        target: the value that the second term pulls every output to.

    Raises:
        InputError: the shapes do not fit, or μ is outside 0 to 1.

    Source: Abillama et al., IEEE Access 2025, training on event recordings.
    """
    _check(outputs, labels)
    if not 0.0 <= mu <= 1.0:
        raise InputError("tet_loss", f"mu is {mu:g}, not from 0 to 1", "Use 1e-3")
    steps, batch, classes = outputs.shape
    # The mean over steps and samples at once is the mean over steps of the mean over samples: all steps have B.
    each = functional.cross_entropy(outputs.reshape(steps * batch, classes), labels.repeat(steps))
    even = functional.mse_loss(outputs, torch.full_like(outputs, target))
    return (1.0 - mu) * each + mu * even


def _check(outputs: Tensor, labels: Tensor) -> None:
    if outputs.ndim != 3 or outputs.shape[0] < 1 or tuple(labels.shape) != (outputs.shape[1],):
        found = f"outputs of shape {tuple(outputs.shape)} and labels of shape {tuple(labels.shape)}"
        raise InputError("loss", f"{found} are not [T, B, classes] and [B]", "Wrap the network in OverTime")


LOSSES: dict[str, Callable[..., Tensor]] = {"mean-ce": mean_cross_entropy, "tet": tet_loss}
"""Losses over time by the name that :func:`make_loss` and configurations take."""


def make_loss(name: str, **options: Any) -> Loss:
    """The loss of that name in ``LOSSES`` with its options set.

    Raises:
        InputError: an unknown name or option, or a value outside its limits.
    """
    choose("loss", "loss", name, tuple(LOSSES))
    _, _, *known = signature(LOSSES[name]).parameters  # behind outputs and labels
    strange = [option for option in options if option not in known]
    if strange:
        raise InputError(f"loss '{name}'", f"unknown option {strange[0]!r}", f"Use {', '.join(map(repr, known))}")
    loss = partial(LOSSES[name], **options)
    try:
        loss(torch.zeros(1, 1, 2), torch.zeros(1, dtype=torch.long))
    except (TypeError, ValueError, RuntimeError) as error:
        text = str(error).partition("\n")[0]
        raise InputError(f"loss '{name}'", text, f"Check {', '.join(map(repr, options))}") from error
    return loss
