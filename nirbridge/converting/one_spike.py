"""One-spike conversion of a trained ReLU network, without training it again (Hwang and Kung, algorithm 1)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import nir
import numpy as np
from torch import nn

from nirbridge.converting.activations import final_notes
from nirbridge.converting.analog import AnalogGraph, analog_graph
from nirbridge.converting.base import best_base
from nirbridge.converting.bases import layer_codes
from nirbridge.converting.calibration import Calibration
from nirbridge.converting.calibration_data import (
    alive,
    batches,
    drop_silent_halves,
    module_dtype,
    require_same,
    users_layer,
)
from nirbridge.converting.centring import centre_aggregates
from nirbridge.converting.coding import Code
from nirbridge.converting.conversion import Conversion, Latency, Layer, depth
from nirbridge.converting.emit import Emission
from nirbridge.converting.markers import Array, ChannelAffine, Relu
from nirbridge.converting.observing import Progress, observe
from nirbridge.converting.ranges import scale
from nirbridge.converting.rewrites import arrange
from nirbridge.converting.samples import WHERE
from nirbridge.converting.settings import INPUT_BASE, Settings, by_channel, make_settings
from nirbridge.converting.suspicions import suspicious_data
from nirbridge.errors import InputError, Problem
from nirbridge.ir import PhaseIF, Shape, build_graph, mark_copy, original
from nirbridge.reports import counted

_COARSE_VALUE = 0.1
_COARSE_CHOICE = 0.25
"""For a base that was chosen by the data."""
_FEW_INPUT_BITS = 6


def one_spike(module: nn.Module, data: Array, progress: Progress, **options: Any) -> Conversion:
    """The one-spike graph of ``module``.

    Args:
        module: a ReLU network in the sense of :func:`nirbridge.convert`.
        data: calibration data [N, *shape].
        progress: is told what is being done.
        options: see :func:`nirbridge.converting.settings.make_settings`.

    Raises:
        ExportError: the module holds something that has no one-spike form.
        InputError: data or an option does not fit, or a layer is dead.
    """
    settings = make_settings(**options)
    if not data.any():
        raise InputError(WHERE, "is all zero, which shows no activation", "Calibrate on real samples")
    shape = data.shape[1:]
    progress("reading the network")
    traced = analog_graph(module, shape)
    transform, offset = _normalisation(settings, shape)
    graph = arrange(
        traced,
        into_threshold=settings.bn == "threshold",
        spiking_averages=settings.averages == "spike",
        input_too=float(data.min()) >= 0 and not offset.any(),
    )
    inputs = batches(data, module_dtype(module), transform)
    graph = centre_aggregates(graph, frozenset(graph.nodes) - frozenset(traced.nodes), inputs)
    require_same(module, graph, inputs[0])
    odd = suspicious_data(graph, data, inputs)
    observed = observe(graph, inputs, progress, settings.percentile)
    found = {name: layer.largest for name, layer in observed.items()}
    graph, one_sided = drop_silent_halves(graph, found)
    inserted = frozenset(graph.nodes) - frozenset(traced.nodes)
    largest, dead = alive(graph, found, inserted)
    known = {name: replace(observed[name], largest=largest[name]) for name in largest}
    codes = layer_codes(graph, settings, known)
    scales = {
        name: scale(codes[name], known[name], settings.calibrate, settings.margin, graph.nodes[name]) for name in known
    }
    calibration = Calibration(graph, settings, codes, scales, data, transform, offset)
    coded = calibration.coded(inputs, progress)
    progress("building the spiking graph")
    spiking = _built(calibration.emitted(coded))
    layers = tuple(
        _layer(name, spiking.nodes[name], codes[name], scales[name], dead[name]) for name in graph.of_type(Relu)
    )
    return Conversion(
        graph=spiking,
        method="one-spike",
        module=module,
        analog=graph,
        coded=coded,
        transform=transform,
        layers=layers,
        latency=Latency(settings.phases, settings.wait, depth(spiking)),
        notes=(
            *final_notes(traced.finals),
            *odd,
            *one_sided,
            *_dead(graph, layers, inserted),
            *_negative_scales(traced),
            *_coarse(settings, layers),
            *_coarse_input(calibration),
            *_clipped_input(graph, settings, data),
        ),
        options={
            name: value.tolist() if isinstance(value, np.ndarray) else value
            for name, value in {
                **asdict(settings),
                "base": float(np.median([code.base for code in codes.values()])) if codes else settings.base,
                "input_scale": calibration.input_scale,
                "input_base": calibration.input_base,
            }.items()
        },
    )


def _coarse_input(calibration: Calibration) -> list[Problem]:
    base = calibration.input_base
    if base == INPUT_BASE:
        return []
    step = base**-calibration.settings.phases
    found = f"its code adds to spikes of base {base:g}, so it has that base and resolves {step:.2g} of its maximum"
    next_step = "Use more phases for a finer input, or put a ReLU behind the first layer"
    return [Problem(f"input '{calibration.graph.input}'", found, next_step, rule="input_base")]


def _clipped_input(graph: AnalogGraph, settings: Settings, data: Array) -> list[Problem]:
    """Samples beyond ``input_scale``, whose code ends there."""
    if settings.input_scale is None:
        return []
    sizes = np.abs(data.astype(np.float64))
    share = float((sizes > settings.input_scale).mean())
    if not share:
        return []
    found = f"{share:.2%} of its values are above input_scale {settings.input_scale:g} and are cut off there"
    next_step = f"Their largest magnitude is {sizes.max():g}; leave input_scale away to span it"
    return [Problem(f"input '{graph.input}'", found, next_step, rule="input_clipped")]


def _built(emission: Emission) -> nir.NIRGraph:
    graph, nodes = emission.graph, emission.nodes
    for name in graph.order:
        of = original(name, graph.nodes[name])
        if of != name and name in nodes:  # a constant is no node any more
            mark_copy(nodes[name], of)
    return build_graph(nodes, emission.edges)


def _layer(name: str, node: PhaseIF, code: Code, scale: Array, dead: int) -> Layer:
    return Layer(name, node.shape, scale, node.base_in, node.base_out, code, dead)


def _dead(graph: AnalogGraph, layers: tuple[Layer, ...], inserted: frozenset[str]) -> list[Problem]:
    """One note for all layers; the report has a row for each."""
    told = [layer for layer in layers if layer.dead]
    if not told:
        return []
    most = max(told, key=lambda layer: layer.dead / layer.scale.size)
    named = {users_layer(graph, layer.name, inserted) for layer in told}
    channels = _channels(most.dead, most.scale.size, len(named))
    found = f"{channels} are never active on the calibration data (λ = 0)"
    next_step = "They take their layer's largest λ; more data may show them active"
    return [Problem(users_layer(graph, most.name, inserted), found, next_step, rule="dead_channels")]


def _channels(count: int, of: int, layers: int) -> str:
    """Channels of one layer, and that there are such in others."""
    return f"{count} of {of} channels" + (f", and some in {counted(layers - 1, 'more layer')}," if layers > 1 else "")


def _normalisation(settings: Settings, shape: Shape) -> tuple[Callable[[Array], Array], Array]:
    """x → (x - mean)/std, and its value at x = 0.

    Raises:
        InputError: mean or std has neither one number nor one for each channel.
    """
    values = []
    for name, value, default in (("mean", settings.mean, 0.0), ("std", settings.std, 1.0)):
        if value is None:
            values.append(np.asarray(default))
        elif value.size not in (1, shape[0]):
            found = f"has {value.size} numbers for {shape[0]} channels"
            raise InputError(f"option '{name}'", found, "Give one number, or one for each channel")
        else:
            values.append(by_channel(value, len(shape)))
    mean, std = values
    return lambda x: (x - mean) / std, np.asarray(-mean / std)


def _negative_scales(traced: AnalogGraph) -> list[Problem]:
    """Batch normalisations with a negative scale: handled, but seldom meant."""
    counts = {name: int((traced.nodes[name].scale < 0).sum()) for name in traced.of_type(ChannelAffine)}
    told = [name for name in counts if counts[name]]
    if not told:
        return []
    most = max(told, key=lambda name: counts[name])
    found = f"{_channels(counts[most], traced.nodes[most].scale.size, len(told))} have a negative scale"
    next_step = "Their weights change sign, which is exact"
    return [Problem(f"layer '{most}' (BatchNorm)", found, next_step, rule="negative_bn_scale")]


def _coarse(settings: Settings, layers: tuple[Layer, ...]) -> list[Problem]:
    """Codes whose steps are too few for what they should span."""
    notes: list[Problem] = []
    if not layers:
        return notes
    limit = _COARSE_CHOICE if settings.base_from_data else _COARSE_VALUE
    exponent = settings.phases + settings.first_phase - 1
    coarse = [layer for layer in layers if layer.base_out**-exponent > limit]
    if coarse:
        most = min(coarse, key=lambda layer: layer.base_out)
        best = best_base(settings.phases, settings.first_phase)
        told = best > most.base_out and not settings.base_from_data
        wider = f", or a larger base: base='auto' gives {best:g}" if told else ""
        found = (
            f"{settings.phases} phases of base {most.base_out:g} end at {most.base_out**-exponent:.3g} of the largest "
            f"activation, so smaller ones are lost"
        )
        notes.append(Problem(_first(most, len(coarse)), found, f"Use more phases{wider}", rule="too_few_phases"))
    if settings.phases < _FEW_INPUT_BITS:
        found = f"{settings.phases} phases send the input with {settings.phases} binary digits"
        where = _first(layers[0], len(layers))
        notes.append(Problem(where, found, "Use 8 phases or more for pictures", rule="few_input_bits"))
    return notes


def _first(layer: Layer, count: int) -> str:
    return f"layer '{layer.name}' (PhaseIF)" + (f" and {count - 1} more" if count > 1 else "")
