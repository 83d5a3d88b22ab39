"""Analog graph and factors → a graph of one-spike neurons.

Every signal is a sum of spike trains and a factor: value = factor · Σ_k Q^-(k + first_phase - 1) s(k).  Layers take
factors into their weights; a neuron divides by its own factor λ through the weights before it, or compares with λ.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import nir
import numpy as np

from nirbridge.converting.analog import AnalogGraph
from nirbridge.converting.coding import Code
from nirbridge.converting.markers import Array, Offset, Relu, is_moving
from nirbridge.converting.scaling import ONE, along, compact, divides, known, merged, moved, scaled, takes_factors
from nirbridge.converting.settings import Settings, by_channel
from nirbridge.errors import ExportError
from nirbridge.ir import MaxPool2d, PhaseDecode, PhaseEncode, PhaseIF, label


@dataclass(frozen=True)
class Train:
    """What a node of the analog graph became.

    Attributes:
        sources: nodes whose spikes add up.
        factor: the value of 1.0 in the code, broadcastable to the features; NaN where there never is a spike.
        base: Q of the code.
    """

    sources: tuple[str, ...]
    factor: Array
    base: float


@dataclass
class Emission:
    """The graph while it grows.

    Attributes:
        graph: the analog graph.
        settings: the options.
        codes: of the spikes of every ReLU.
        scales: λ of every ReLU.
        constants: what biases bring to every ReLU and to the output.
        input_scale: the input that 1.0 stands for.
        input_base: Q of the input's code.
        signed: whether the input may be negative.
        nodes: the new nodes by name.
        edges: the new edges.
        trains: what each analog node became.
        divisors: what the layers before a neuron divide their output by.
        entering: factor of what enters each layer with weights.
    """

    graph: AnalogGraph
    settings: Settings
    codes: dict[str, Code]
    scales: dict[str, Array]
    constants: dict[str, Array]
    input_scale: Array
    input_base: float
    signed: bool
    nodes: dict[str, nir.NIRNode] = field(default_factory=dict)
    edges: list[tuple[str, str]] = field(default_factory=list)
    trains: dict[str, Train] = field(default_factory=dict)
    divisors: dict[str, Array] = field(default_factory=dict)
    entering: dict[str, Array] = field(default_factory=dict)

    def place(self, name: str, node: nir.NIRNode, sources: tuple[str, ...]) -> str:
        """Adds a node and its edges; a name that an analog node needs gets a number."""
        unique, number = name, 0
        while unique in self.nodes or (unique != name and unique in self.graph.nodes):
            number += 1
            unique = f"{name}_{number}"
        self.nodes[unique] = node
        self.edges += [(source, unique) for source in sources]
        return unique

    def gather(self, name: str, unit: Array | None = None) -> Train:
        """The sum that enters ``name``; terms of different factors get a Scale each.

        Args:
            name: the analog node.
            unit: the factor that the sum shall have; None for the one of all terms or, where they have several, 1.

        Raises:
            ExportError: codes of different bases meet.
        """
        trains = [self.trains[source] for source in self.graph.incoming[name]]
        bases = {train.base for train in trains}
        if len(bases) > 1:
            found = "adds the coded input to spikes of a base above 2, in which digits of 0 and 1 leave gaps"
            where = label(name, self.graph.nodes[name])
            raise ExportError(where, found, "Put a ReLU behind the first layer, or convert with a base up to 2")
        common = merged([train.factor for train in trains]) if unit is None else None
        if common is not None:
            return Train(sum((train.sources for train in trains), ()), common, trains[0].base)
        unit = ONE if unit is None else unit
        sources: list[str] = []
        for origin, train in zip(self.graph.incoming[name], trains, strict=True):
            ratio = known(train.factor / unit)
            if (ratio == 1).all():
                sources += train.sources
            else:
                sources.append(self.place(f"{name}.from_{origin}", nir.Scale(compact(ratio)), train.sources))
        return Train(tuple(sources), unit, trains[0].base)


def emit(emission: Emission) -> Emission:
    """The same with the nodes and edges of the spiking graph.

    Raises:
        ExportError: spikes of different codes would add up.
    """
    graph = emission.graph
    for name in graph.order:
        if type(graph.nodes[name]) in (Relu, nir.Output):
            emission.divisors.update(_divisors(emission, name))
    for name in graph.order:
        node = graph.nodes[name]
        rule = _carrier if is_moving(node) else _RULES.get(type(node), _layer)
        emission.trains[name] = rule(emission, name)
    return emission


def _unit(emission: Emission, name: str) -> Array:
    """What 1.0 at the input of a neuron, or of the readout, shall stand for."""
    node = emission.graph.nodes[name]
    if type(node) is Relu:
        return emission.scales[name]
    return np.asarray(_base(emission, name) ** (emission.settings.first_phase - 1))


def _base(emission: Emission, name: str) -> float:
    """Q of the spikes that enter a node: terms of a sum have one."""
    source = emission.graph.incoming[name][0]
    if source in emission.codes:
        return emission.codes[source].base
    return emission.input_base if source == emission.graph.input else _base(emission, source)


def _divisors(emission: Emission, name: str) -> dict[str, Array]:
    """What the layers before a neuron divide their output by; empty where the threshold must carry it.

    1. Batch normalisation in the threshold: the sign of its scale alone.
    2. Every term of the sum is a layer with weights that feeds nothing else, or spikes: λ.
    """
    graph = emission.graph
    node, sources = graph.nodes[name], graph.incoming[name]
    if type(node) is Relu and (node.gain != 1).any():
        return {sources[0]: np.sign(node.gain)} if (node.gain < 0).any() else {}
    unit = _unit(emission, name)
    layers = [source for source in sources if takes_factors(graph.nodes[source])]
    axes = len(graph.shapes[sources[0]])
    for source in layers:
        if graph.consumers[source] != (name,) or not divides(graph.nodes[source], unit, axes):
            return {}
    others = [source for source in sources if source not in layers]
    if not layers or not all(_carries_spikes(graph, source) for source in others):
        return {}
    return dict.fromkeys(layers, unit)


def _carries_spikes(graph: AnalogGraph, name: str) -> bool:
    node = graph.nodes[name]
    if is_moving(node):
        return all(_carries_spikes(graph, source) for source in graph.incoming[name])
    return type(node) in (Relu, nir.Input, MaxPool2d)


def _input(emission: Emission, name: str) -> Train:
    """Its digits, 0 and 1; a signed input is sent as two trains, of its positive and its negated negative part."""
    settings, node = emission.settings, emission.graph.nodes[name]
    shape = emission.graph.shapes[name]
    entry = emission.place(name, node, ())

    def code(suffix: str, source: str) -> str:
        encoder = PhaseEncode(shape, settings.phases, emission.input_base, emission.input_scale)
        return emission.place(f"{name}.{suffix}", encoder, (source,))

    sources: tuple[str, ...] = (code("code", entry),)
    if emission.signed:
        negated = emission.place(f"{name}.negated", nir.Scale(np.asarray(-1.0)), (entry,))
        sources += (emission.place(f"{name}.minus", nir.Scale(np.asarray(-1.0)), (code("negative", negated),)),)
    std = ONE if settings.std is None else by_channel(settings.std, len(shape))
    factor = emission.input_scale / std * emission.input_base ** (settings.first_phase - 1)
    return Train(sources, factor, emission.input_base)


def _layer(emission: Emission, name: str) -> Train:
    """A layer with weights: its input's factor goes in, its neuron's is divided out; the bias is gone."""
    node, axes = emission.graph.nodes[name], len(emission.graph.shapes[emission.graph.incoming[name][0]])
    leaving = emission.divisors.get(name, ONE)
    train = emission.gather(name)
    done = scaled(node, known(train.factor), leaving, axes)
    if done is None:
        train = emission.gather(name, ONE)
        done = scaled(node, ONE, leaving, axes)
        assert done is not None
    emission.entering[name] = train.factor
    return Train((emission.place(name, done, train.sources),), leaving, train.base)


def _carrier(emission: Emission, name: str) -> Train:
    """A node without weights keeps the factor, or moves it with the values."""
    graph, node = emission.graph, emission.graph.nodes[name]
    train = emission.gather(name)
    shape = graph.shapes[graph.incoming[name][0]]
    factor = train.factor
    if is_moving(node):
        factor = moved(node, factor, shape)
    elif along(factor, 0, len(shape)) is None:
        if type(node) is MaxPool2d:
            found = "takes the largest of spikes that stand for other values at other places"
            raise ExportError(label(name, node), found, "Put a ReLU before it")
        train = emission.gather(name, ONE)
        factor = ONE
    return Train((emission.place(name, node, train.sources),), factor, train.base)


def _neuron(emission: Emission, name: str) -> Train:
    """θ and V(0) in the unit in which the layers before it send."""
    settings, node, scale = emission.settings, emission.graph.nodes[name], emission.scales[name]
    divided = any(source in emission.divisors for source in emission.graph.incoming[name])
    train = emission.gather(name, scale if divided and (node.gain == 1).all() else None)
    factor = known(train.factor)
    threshold = scale / node.gain / factor
    bias = (emission.constants[name] + node.shift / node.gain) / factor
    neuron = PhaseIF(
        shape=emission.graph.shapes[name],
        phases=settings.phases,
        wait=settings.wait,
        base_in=train.base,
        base_out=emission.codes[name].base,
        v_threshold=compact(np.asarray(threshold)),
        v_init=compact(np.asarray(bias)),
        first_phase=settings.first_phase,
        rounding=settings.rounding,
        spikes=settings.spikes,
    )
    return Train((emission.place(name, neuron, train.sources),), scale, neuron.base_out)


def _output(emission: Emission, name: str) -> Train:
    """The readout: no spikes, its last step holds the logits."""
    train = emission.gather(name, _unit(emission, name))
    bias = compact(emission.constants[name])
    shape = emission.graph.shapes[name]
    decoder = PhaseDecode(shape, emission.settings.phases, train.base, bias)
    readout = emission.place("readout", decoder, train.sources)
    return Train((emission.place(name, emission.graph.nodes[name], (readout,)),), ONE, train.base)


_RULES: dict[type[nir.NIRNode], Any] = {
    nir.Input: _input,
    MaxPool2d: _carrier,
    nir.AvgPool2d: _carrier,
    nir.SumPool2d: _carrier,
    Offset: Emission.gather,  # a constant is in the bias of the neuron that it reaches
    Relu: _neuron,
    nir.Output: _output,
}
