"""Hybrid training, first half: from a trained ReLU network to a spiking one with thresholds that fit it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from nirbridge.errors import InputError
from nirbridge.neurons import LMHT, OverTime, PrimitiveNeuron, Recurrent, SpikingNeuron
from nirbridge.neurons.overtime import time_steps, unfold
from nirbridge.training.folding import fold_batch_norms
from nirbridge.training.replacing import replace_modules


def hybrid_network(
    ann: nn.Module,
    x: Tensor,
    steps: int,
    neuron: Callable[[], SpikingNeuron],
    percentile: float = 99.7,
    factor: float = 1.0,
    divide_by_top_lane: bool = True,
) -> OverTime:
    """The spiking network to begin back-propagation through time with.

    Batch normalisation is folded, weights are copied, every ``nn.ReLU`` becomes ``neuron()``, and the thresholds are
    set layer by layer with :func:`set_thresholds`, ``x`` being shown at every step.

    Args:
        ann: trained with ReLU; stays as it is.
        x: images [B, ...].
        steps: T.
        neuron: makes one neuron layer, as ``lambda: MultiLevelLIF(3, learn_threshold=True, learn_decay=True)``.
        percentile: see :func:`set_thresholds`.
        factor: see :func:`set_thresholds`.
        divide_by_top_lane: see :func:`set_thresholds`.

    Raises:
        InputError: no ReLU module, ReLU as a function, steps below 1, or a layer without a positive threshold.

    Source: Abillama et al., IEEE Access 2025, training of static images; percentile 90 in the text, 99.7 times a
    factor in the public code.
    """
    if steps < 1:
        raise InputError("hybrid_network", f"steps is {steps}, below 1", "Use 1 or more")
    folded = fold_batch_norms(ann, x)
    spiking = OverTime(replace_modules(folded, nn.ReLU, lambda _: neuron(), "by a neuron")).to(x.device)
    set_thresholds(spiking, x.expand(steps, *x.shape), percentile, factor, divide_by_top_lane)
    return spiking


def set_thresholds(
    network: nn.Module,
    x: Tensor,
    percentile: float = 99.7,
    factor: float = 1.0,
    divide_by_top_lane: bool = True,
) -> dict[str, float]:
    """Sets one threshold per neuron layer, θ = factor · percentile(current) / 2^(S-1), from the first to the last.

    The currents are those of all steps and samples of ``x``. When a layer is measured, those before it already spike
    with their new thresholds. In place of 2^(S-1) a neuron with other levels takes the quotient of its highest level
    and its threshold, so that factor · percentile is always where the highest level begins.

    Args:
        network: takes ``x``; its neurons' thresholds are changed.
        x: frames [T, B, ...].
        percentile: above 0, up to 100.
        factor: above 0.
        divide_by_top_lane: False leaves the division away.

    Returns:
        The thresholds by the names of the neurons, in the order of execution.

    Raises:
        InputError: an argument outside its limits, no neuron, ReLU in use, a layer whose percentile is not positive, or
            one whose currents one threshold cannot fit: it is called twice a run, inside of ``Recurrent``, or a
            spiking ``PrimitiveNeuron``.

    Source: Abillama et al., IEEE Access 2025, training of static images.
    """
    if not 0.0 < percentile <= 100.0 or factor <= 0.0:
        found = f"percentile {percentile:g} and factor {factor:g} are not in (0, 100] and above 0"
        raise InputError("set_thresholds", found, "Use for instance 99.7 and 1")
    thresholds: dict[str, float] = {}
    names = {module: name for name, module in network.named_modules() if isinstance(module, SpikingNeuron)}

    def measure(module: SpikingNeuron, inputs: tuple[Tensor, ...]) -> None:
        where = f"layer '{names[module]}' ({type(module).__name__})"
        if names[module] in thresholds:
            found = "is called twice a run, and one threshold would have to fit both currents"
            raise InputError(where, found, "Use a module for each place")
        value = factor * _percentile(_current(module, inputs[0]), percentile)
        if divide_by_top_lane:
            value /= _top(module)
        if not value > 0.0:
            found = f"the {percentile:g}th percentile of its current gives the threshold {value:.3g}, not above 0"
            raise InputError(where, found, "Train the network further or raise percentile")
        with torch.no_grad():
            module.threshold.fill_(value)
        thresholds[names[module]] = value

    if not names:
        raise InputError("set_thresholds", "the network holds no spiking neuron", "Replace its activations first")
    for name, module in network.named_modules():
        where = f"layer '{name}' ({type(module).__name__})"
        if isinstance(module, Recurrent):
            found = "its neuron's current comes back from its own spikes, of which there are none before a threshold"
            raise InputError(where, found, "Set thresholds with the bare neuron in its place")
        if isinstance(module, PrimitiveNeuron) and module.spec.sends.spikes:
            raise InputError(where, "says itself when it fires, by values of its own", "Set the others' without it")
    _run_with(measure, names, network, x)
    return thresholds


def _run_with(hook: Callable[..., None], neurons: Iterable[nn.Module], network: nn.Module, x: Tensor) -> None:
    """Runs ``network`` on ``x`` in evaluation mode, the hook before each neuron; no other trace is left."""
    handles = [module.register_forward_pre_hook(hook) for module in neurons]
    training = {module: module.training for module in network.modules()}
    try:
        network.eval()
        with torch.no_grad(), _NoRelu():
            network(x)
    finally:
        for handle in handles:
            handle.remove()
        for module, mode in training.items():
            module.training = mode


def _current(neuron: nn.Module, x: Tensor) -> Tensor:
    """What charges the membrane: LM-HT mixes its input over time."""
    if not isinstance(neuron, LMHT):
        return x
    steps = time_steps()
    return neuron.mixed(x if steps is None else unfold(x, steps, "set_thresholds"))


def _percentile(values: Tensor, percentile: float) -> float:
    """By linear interpolation; unlike torch.quantile for any number of values."""
    flat = values.detach().flatten().double()
    place = (flat.numel() - 1) * percentile / 100.0
    low = int(place)
    ordered = flat.sort().values
    high = min(low + 1, flat.numel() - 1)
    return float(ordered[low] + (ordered[high] - ordered[low]) * (place - low))


def _top(neuron: nn.Module) -> float:
    """The highest level's threshold in units of θ."""
    return float((neuron.lane_threshold[-1] / neuron.threshold.detach()).flatten()[0])


_RELU_FUNCTIONS = (functional.relu, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_)


class _NoRelu(TorchFunctionMode):
    """Refuses ReLU as a function: it would stay analog where its module is replaced."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in _RELU_FUNCTIONS:
            found = f"forward calls the function {getattr(func, '__name__', 'relu')}, which stays analog"
            raise InputError("network", found, "Use an nn.ReLU module in each place")
        return func(*args, **(kwargs or {}))
