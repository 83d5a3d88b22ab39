"""One-spike conversion of a trained ReLU network, without training it again (Hwang and Kung, algorithm 1)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import nir
import numpy as np
import torch
from torch import nn

from nirbridge.converting.activations import final_notes
from nirbridge.converting.analog import AnalogGraph, analog_graph
from nirbridge.converting.base import best_base
from nirbridge.converting.calibrate import (
    alive,
    batches,
    constant_inputs,
    drop_silent_halves,
    module_dtype,
    require_same,
    users_layer,
)
from nirbridge.converting.centring import centre_aggregates
from nirbridge.converting.coding import Code
from nirbridge.converting.conversion import Conversion, Latency, Layer, depth
from nirbridge.converting.correcting import corrected, fitting
from nirbridge.converting.emit import Emission, emit
from nirbridge.converting.markers import Array, ChannelAffine, Relu
from nirbridge.converting.observing import Observed, Progress, observe
from nirbridge.converting.ranges import ERROR, PAPER, best_code, room, scale
from nirbridge.converting.refitting import FEWEST_SAMPLES
from nirbridge.converting.rewrites import arrange, input_meets_spikes
from nirbridge.converting.rounding import rounded_weights
from nirbridge.converting.settings import INPUT_BASE, Settings, make_settings
from nirbridge.converting.suspicions import suspicious_data
from nirbridge.errors import InputError, Problem
from nirbridge.ir import PhaseIF, Shape, build_graph, mark_copy, original
from nirbridge.primitives.phase_base import digits
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
    graph, one_sided = drop_silent_halves(graph, {name: layer.largest for name, layer in observed.items()})
    inserted = frozenset(graph.nodes) - frozenset(traced.nodes)
    largest, dead = alive(graph, {name: layer.largest for name, layer in observed.items()}, inserted)
    if settings.margin is None:
        settings = replace(settings, margin=room(len(data), settings.spikes))
    known = {name: replace(observed[name], largest=largest[name]) for name in largest}
    settings, scales = _fitted(graph, settings, known)
    coded = graph
    if settings.weight_bits is not None:
        entering = emit(_emission(graph, settings, scales, offset, data)).entering
        if settings.calibrate == ERROR and len(data) >= FEWEST_SAMPLES:  # fitted first, then on the grid
            fitted = _corrected(graph, graph, settings, scales, data, transform, inputs[0].dtype, progress)
            coded = graph.changed({name: node for name, node in fitted.nodes.items() if type(node) is not Relu})
        coded = rounded_weights(coded, inputs, settings.weight_bits, settings.weight_rounding, entering)
    if settings.calibrate != PAPER:
        coded = _corrected(graph, coded, settings, scales, data, transform, inputs[0].dtype, progress)
    progress("building the spiking graph")
    spiking = _built(emit(_emission(coded, settings, scales, offset, data)))
    layers = tuple(_layer(name, spiking.nodes[name], scales[name], dead[name]) for name in graph.of_type(Relu))
    return Conversion(
        graph=spiking,
        method="one-spike",
        module=module,
        analog=graph,
        coded=coded,
        code=settings.code,
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
            *_coarse_input(graph, settings),
            *_clipped_input(graph, settings, data),
        ),
        options={
            name: value.tolist() if isinstance(value, np.ndarray) else value
            for name, value in {
                **asdict(settings),
                "input_scale": _input_scale(settings, data),
                "input_base": _input_base(graph, settings),
            }.items()
        },
    )


def _fitted(graph: AnalogGraph, settings: Settings, layers: dict[str, Observed]) -> tuple[Settings, dict[str, Array]]:
    """The settings with a base, and λ of every layer."""
    rule, margin = settings.calibrate, settings.margin or 1.0
    nodes: dict[str, Any] = {name: graph.nodes[name] for name in layers}
    if settings.base_from_data and layers:
        settings = replace(settings, base=best_code(settings.code, layers, rule, margin, nodes).base)
    return settings, {name: scale(settings.code, layers[name], rule, margin, nodes[name]) for name in layers}


def _corrected(
    graph: AnalogGraph,
    coded: AnalogGraph,
    settings: Settings,
    scales: dict[str, Array],
    data: Array,
    transform: Callable[[Array], Array],
    dtype: torch.dtype,
    progress: Progress,
) -> AnalogGraph:
    """See :func:`corrected`; on as many samples, spread over the data, as fit into memory."""
    count = fitting(graph, len(data))
    samples = data[np.linspace(0, len(data) - 1, count).round().astype(int)].astype(np.float64)
    scale = _input_scale(settings, data)
    levels = Code(_input_base(graph, settings), settings.phases).levels
    coded_sizes = [_decoded(np.abs(sample) / scale, levels) * scale for sample in samples]
    whole, sent = (torch.as_tensor(transform(x)).to(dtype) for x in (samples, np.sign(samples) * np.stack(coded_sizes)))
    return corrected(graph, coded, settings.code, scales, whole, sent, settings.calibrate == ERROR, progress)


def _decoded(parts: Array, levels: Array) -> Array:
    """What the digits of a value stand for."""
    sent, _ = digits(parts, levels.tolist())
    found: Array = sum(fires * level for fires, level in zip(sent, levels, strict=True))
    return found


def _input_scale(settings: Settings, data: Array) -> float:
    """The input that 1.0 in its code stands for."""
    return settings.input_scale or float(np.abs(data.astype(np.float64)).max())


def _input_base(graph: AnalogGraph, settings: Settings) -> float:
    """2, or that of the spikes where both add up: a membrane multiplies by one base."""
    return settings.base if settings.base <= INPUT_BASE and input_meets_spikes(graph) else INPUT_BASE


def _coarse_input(graph: AnalogGraph, settings: Settings) -> list[Problem]:
    base = _input_base(graph, settings)
    if base == INPUT_BASE:
        return []
    step = base**-settings.phases
    found = f"its code adds to spikes of base {base:g}, so it has that base and resolves {step:.2g} of its maximum"
    next_step = "Use more phases for a finer input, or put a ReLU behind the first layer"
    return [Problem(f"input '{graph.input}'", found, next_step, rule="input_base")]


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


def _emission(graph: AnalogGraph, settings: Settings, scales: dict[str, Array], offset: Array, data: Array) -> Emission:
    return Emission(
        graph=graph,
        settings=settings,
        scales=scales,
        constants=constant_inputs(graph, offset),
        input_scale=np.asarray(_input_scale(settings, data)),
        input_base=_input_base(graph, settings),
        signed=float(data.min()) < 0,
    )


def _built(emission: Emission) -> nir.NIRGraph:
    graph, nodes = emission.graph, emission.nodes
    for name in graph.order:
        of = original(name, graph.nodes[name])
        if of != name and name in nodes:  # a constant is no node any more
            mark_copy(nodes[name], of)
    return build_graph(nodes, emission.edges)


def _layer(name: str, node: PhaseIF, scale: Array, dead: int) -> Layer:
    return Layer(name, node.shape, scale, node.base_in, node.base_out, dead)


def _dead(graph: AnalogGraph, layers: tuple[Layer, ...], inserted: frozenset[str]) -> list[Problem]:
    """One note for all layers; the report has a row for each."""
    told = [layer for layer in layers if layer.dead]
    if not told:
        return []
    most = max(told, key=lambda layer: layer.dead / layer.scale.size)
    named = {users_layer(graph, layer.name, inserted) for layer in told}
    others = f", and some in {counted(len(named) - 1, 'more layer')}," if len(named) > 1 else ""
    found = f"{most.dead} of {most.scale.size} channels{others} are never active on the calibration data (λ = 0)"
    next_step = "They take their layer's largest λ; more data may show them active"
    return [Problem(users_layer(graph, most.name, inserted), found, next_step, rule="dead_channels")]


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
            values.append(value.reshape(()) if value.size == 1 else value.reshape(-1, *(1,) * (len(shape) - 1)))
    mean, std = values
    return lambda x: (x - mean) / std, np.asarray(-mean / std)


def _negative_scales(traced: AnalogGraph) -> list[Problem]:
    """Batch normalisations with a negative scale: handled, but seldom meant."""
    counts = {name: int((traced.nodes[name].scale < 0).sum()) for name in traced.of_type(ChannelAffine)}
    told = [name for name in counts if counts[name]]
    if not told:
        return []
    most = max(told, key=lambda name: counts[name])
    others = f", and some in {counted(len(told) - 1, 'more layer')}," if len(told) > 1 else ""
    found = f"{counts[most]} of {traced.nodes[most].scale.size} channels{others} have a negative scale"
    next_step = "Their weights change sign, which is exact"
    return [Problem(f"layer '{most}' (BatchNorm)", found, next_step, rule="negative_bn_scale")]


def _coarse(settings: Settings, layers: tuple[Layer, ...]) -> list[Problem]:
    """Codes whose steps are too few for what they should span."""
    notes: list[Problem] = []
    if not layers:
        return notes
    names = f"layer '{layers[0].name}' (PhaseIF)" + (f" and {len(layers) - 1} more" if len(layers) > 1 else "")
    smallest = settings.base ** -(settings.phases + settings.first_phase - 1)
    if smallest > (_COARSE_CHOICE if settings.base_from_data else _COARSE_VALUE):
        best = best_base(settings.phases, settings.first_phase)
        told = best > settings.base and not settings.base_from_data
        wider = f", or a larger base: base='auto' gives {best:g}" if told else ""
        found = (
            f"{settings.phases} phases of base {settings.base:g} end at {smallest:.3g} of the largest activation, "
            f"so smaller ones are lost"
        )
        notes.append(Problem(names, found, f"Use more phases{wider}", rule="too_few_phases"))
    if settings.phases < _FEW_INPUT_BITS:
        found = f"{settings.phases} phases send the input with {settings.phases} binary digits"
        notes.append(Problem(names, found, "Use 8 phases or more for pictures", rule="few_input_bits"))
    return notes
