"""Quantises a flat graph: asks for the scale of every edge, from the outputs back to what fixes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

import nir
import numpy as np

from nirbridge.errors import Problem
from nirbridge.ir import FlatGraph, Quantize, Shapes, is_input, moves_values, spec_of
from nirbridge.ir.topology import postorder
from nirbridge.primitives.spec import Array
from nirbridge.primitives.units import collapsed
from nirbridge.quantizing import neurons, passing, synapses, windows
from nirbridge.quantizing.ends import unused_name
from nirbridge.quantizing.joining import Join, join
from nirbridge.quantizing.levels import synapse_levels
from nirbridge.quantizing.refusals import RefusedError, TooFineError, UnitsError
from nirbridge.quantizing.report import LayerReport
from nirbridge.quantizing.sharing import CHANNELLED, groups, has_unit, rule_of
from nirbridge.quantizing.synapses import Grid, Place, Quantised

RULES: dict[str, Callable[[Any, Place], Quantised]] = {
    function.__name__: function
    for function in (
        *(synapses.matrix, synapses.convolution, synapses.scaling, synapses.aggregation),
        *(neurons.multi_level, neurons.threshold, neurons.integrator, neurons.integrate_and_fire),
        *(neurons.leaky, neurons.with_synapse),
        *(passing.output, passing.same, passing.flatten, passing.pool, passing.average_pool),
        *(passing.place, passing.product),
        *(windows.encode, windows.fire, windows.decode, windows.mix),
    )
}
"""The rules that a Spec names; it may bring one of its own."""
_LARGEST_FACTOR = 2**20
_LEAST_UNIT = 2.0**-900
"""Weights times such a unit are still normal numbers of double precision."""


@dataclass
class Walk:
    """One attempt at quantising.

    Attributes:
        flat: the graph, its parameters in double precision.
        shapes: of every node.
        weight_bits: bits of a weight.
        dt: seconds per step.
        input_scale: of every input.
        per_channel: whether output channels may have a step each.
        one_unit: whether an output must have one unit, because nobody multiplies by several.
        hessians: of what enters the synapses that GPTQ rounds.
        coarser: bits by which the weights of a synapse are coarser than the finest scale, found by earlier attempts.
        per_layer: synapses that have one step all the same, and why, found by earlier attempts.
        units: of a group of synapses, by its first member that has some.
    """

    flat: FlatGraph
    shapes: Mapping[str, Shapes]
    weight_bits: int
    dt: float
    input_scale: Mapping[str, float]
    per_channel: bool = False
    one_unit: bool = False
    hessians: Mapping[str, Array] = field(default_factory=dict)
    coarser: Mapping[str, int | Array] = field(default_factory=dict)
    per_layer: Mapping[str, str] = field(default_factory=dict)
    units: dict[frozenset[str], Array] = field(default_factory=dict)
    done: dict[str, Quantised] = field(default_factory=dict)
    joins: dict[str, Join] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    refused: dict[str, RefusedError] = field(default_factory=dict)
    _open: set[str] = field(default_factory=set)

    def again(self, **changes: Any) -> Walk:
        """The same attempt from the start, with some attributes changed."""
        return replace(self, **changes, units={}, done={}, joins={}, problems=[], refused={}, _open=set())

    def run(self) -> None:
        """Quantises every node; refusals end up in ``problems``.

        Raises:
            TooFineError: a synapse must be coarser; try again with more in ``coarser``.
            UnitsError: a synapse must have one step; try again with more in ``per_layer``.
        """
        for name in postorder(self.flat.topology.order, self._asked):  # so that no call goes deep
            try:
                self.quantised(name)
            except RefusedError as error:
                if type(error) is UnitsError and self.splitting(error.name):
                    raise
                if error.problem not in self.problems:
                    self.problems.append(error.problem)

    def _asked(self, name: str) -> list[str]:
        """The nodes whose scale a node waits for."""
        return [source for source in self.flat.sources(name) if not has_unit(self.flat.nodes[source])]

    def quantised(self, name: str) -> Quantised:
        """The node in integers, and what they stand for."""
        if name not in self.done:
            node = self.flat.nodes[name]
            if name in self._open:
                raise RefusedError(
                    name, node, "stands in a cycle without a spiking neuron, so its scale has no beginning"
                )
            if name in self.refused:
                raise self.refused[name]
            self._open.add(name)
            try:
                with np.errstate(over="ignore", divide="ignore", invalid="ignore"):  # refused for its size
                    self.done[name] = self._quantise(name, node)
            except RefusedError as error:
                self.refused[name] = error
                raise
            finally:
                self._open.discard(name)
        return self.done[name]

    def scale(self, name: str) -> Array:
        """What the integer 1 stands for in what a node sends."""
        node = self.flat.nodes[name]
        integers = spec_of(node).integers
        if integers is not None and integers.unit is not None:
            return integers.unit(node)
        return self.quantised(name).scale

    def _quantise(self, name: str, node: nir.NIRNode) -> Quantised:
        if is_input(node):
            return Quantised(copy(node), np.asarray(self.input_scale[name]))
        if type(node) is Quantize and all(is_input(self.flat.nodes[s]) for s in self.flat.sources(name)):
            # Its integers are values of the float graph already, whatever enters.
            return Quantised(copy(node), np.ones(()))
        named = rule_of(node)
        rule = named if callable(named) else RULES.get(named)
        if rule is None:
            raise RefusedError(name, node, "has no integer form")
        scale = self._entering(name)
        if hasattr(node, "weight") and moves_values(node) and not collapsed(scale).ndim:
            rule = passing.moved
        shapes = self.shapes[name]
        place = Place(name, shapes.input, shapes.output, scale, self.dt, self._grid(name))
        found = rule(node, place)
        if self.one_unit and type(node) is nir.Output and collapsed(found.scale).ndim and self.splitting(name):
            raise UnitsError(name, node, "gives integers that nobody multiplies by units of their own")
        if name in groups(self.flat):
            self.units.setdefault(groups(self.flat)[name].members, found.scale)
        found.node.metadata = dict(node.metadata)
        unit = np.abs(np.asarray(found.scale))
        if not ((unit > _LEAST_UNIT) & (unit < 1 / _LEAST_UNIT)).all():
            text = f"what it sends has a unit of {unit.min():.3g}, beyond double precision, after so many synapses"
            raise RefusedError(name, node, text, "Put neurons between the synapses")
        return found

    def _grid(self, name: str) -> Grid:
        """What the weights of a node may become."""
        grid = Grid(self.weight_bits, self.coarser.get(name, 0), hessian=self.hessians.get(name))
        if not self._channelled(name):
            return grid
        group = groups(self.flat).get(name)
        if group is None:
            return replace(grid, per_channel=True)
        if group.fixed or not group.members.isdisjoint(self.per_layer):
            return replace(grid, per_channel=True, unit=np.ones(()))
        if group.leader and group.leader != name:
            self.quantised(group.leader)
        return replace(grid, per_channel=True, unit=self.units.get(group.members))

    def coarsened(self, error: TooFineError) -> Walk:
        """The walk with coarser synapses before a node.

        A chain of synapses without neurons shares the loss such that the squared errors add up to the least.  Bits that
        only some channels have too many are taken from these, at the nearest synapses that have a step for each.

        Raises:
            RefusedError: no synapse stands before the node.
        """
        levels = synapse_levels(self.flat, error.name)
        if not levels:
            found = f"{error.found}, and no synapse before it can be coarser"
            raise RefusedError(error.name, self.flat.nodes[error.name], found)
        split = self.splitting(error.name)
        nearest = next((level for level in levels if not split.isdisjoint(level)), levels[0])
        others = [level for level in levels if level is not nearest]
        alone = {}
        for name in nearest:
            bits = np.asarray(error.bits)
            bits = self._by_channel(bits, name) if self._channelled(name) else bits.max()
            alone[name] = np.asarray(self.coarser.get(name, 0) + bits)
        every = np.concatenate([np.ravel(bits) for bits in alone.values()])
        before = np.array([max(float(np.max(self.coarser.get(name, 0))) for name in level) for level in others])
        shares, ways = np.zeros(len(others), np.int64), []
        for shared in range(int(every.max()) + 1 if others else 1):
            lost = sum(map(self._lost, before + shares)) + self._lost(np.maximum(every - shared, 0))
            ways.append((lost, shared, shares.tolist()))
            if others:
                shares[np.argmin(before + shares)] += 1
        _, shared, best = min(ways)
        coarser = dict(self.coarser)
        for level, share in zip(others, best, strict=True):
            coarser.update({name: coarser.get(name, 0) + share for name in level})
        return self.again(coarser=coarser | {name: np.maximum(bits - shared, 0) for name, bits in alone.items()})

    def _lost(self, bits: Any) -> float:
        """The mean squared error, in parts of the weights, at steps that are so many bits coarser."""
        return float((4.0 ** np.minimum(np.asarray(bits, dtype=np.float64) - (self.weight_bits - 1), 0)).mean())

    def _by_channel(self, bits: Array, name: str) -> Array:
        """Bits at each place behind a synapse as the most for each of its output channels, or for all of them."""
        shape = self.shapes[name].output
        axis = len(shape) - 1 if rule_of(self.flat.nodes[name]) == "matrix" else 0
        placed = bits.reshape(shape) if bits.size == prod(shape) else bits
        if placed.ndim != len(shape) or not shape or placed.shape[axis] != shape[axis]:
            return np.asarray(bits.max())
        most: Array = np.moveaxis(placed, axis, 0).reshape(shape[axis], -1).max(axis=1)
        return most

    def splitting(self, name: str) -> set[str]:
        """The nearest synapses before a node whose channels have steps of their own."""
        for level in synapse_levels(self.flat, name):
            if found := {synapse for synapse in level if self._channelled(synapse)}:
                return found
        return set()

    def _channelled(self, name: str) -> bool:
        return self.per_channel and name not in self.per_layer and rule_of(self.flat.nodes[name]) in CHANNELLED

    def _entering(self, name: str) -> Array:
        sources = self.flat.sources(name)
        found = join([self.scale(source) for source in sources], self.weight_bits)
        if found.too_fine is not None:
            index, bits = found.too_fine
            finest = sources[index]
            if not has_unit(self.flat.nodes[finest]) and synapse_levels(self.flat, finest):
                raise TooFineError(finest, bits, "is much finer than what it adds to")
        if max(int(np.abs(factor).max()) for factor in found.factors) > _LARGEST_FACTOR:
            units = "the values that add up have units more than 2^20 apart"
            raise RefusedError(name, self.flat.nodes[name], units, "Scale them before they add up")
        self.joins[name] = found
        return found.scale

    def layers(self) -> list[LayerReport]:
        """The rows of the report, in execution order; a factor that is no power of two has its own."""
        rows = []
        for name in self.flat.topology.order:
            if name in self.joins and self.joins[name].error:
                found = self.joins[name]
                scale = float(np.min(found.scale))
                bits = self.weight_bits
                rows.append(LayerReport(f"into {name}", "Scale", scale, bits, weight_error=found.error))
            layer = self.done[name].layer
            if layer is not None:
                rows.append(layer)
        return rows

    def graph(self) -> nir.NIRGraph:
        """The graph of integers; factors of edges become Scale nodes."""
        nodes = {name: self.done[name].node for name in self.flat.nodes}
        edges: list[tuple[str, str]] = []
        position = dict.fromkeys(nodes, 0)
        for source, target in self.flat.edges:
            factor = 1 if target not in self.joins else self.joins[target].factors[position[target]]
            position[target] += 1
            factor = np.asarray(factor) * 2 ** self.done[target].amplify
            if (factor == 1).all():
                edges.append((source, target))
                continue
            between = unused_name(f"{source}_to_{target}", nodes)
            nodes[between] = nir.Scale(factor.astype(np.int32 if factor.max() < 2**31 else np.int64))
            edges += [(source, between), (between, target)]
        return nir.NIRGraph(nodes, edges, type_check=False)


def walk_until_it_fits(start: Walk) -> Walk:
    """Repeats the walk, with coarser synapses where integers became too large, and one step where units differ.

    Steps do not depend on how weights are rounded, so that only the last walk rounds by GPTQ.

    Raises:
        RefusedError: a node cannot be made to fit.
    """
    walk = start.again(hessians={})
    for _ in range(64 + len(walk.flat.nodes)):
        try:
            walk.run()
            if start.hessians and not walk.problems:
                walk = walk.again(hessians=start.hessians)
                walk.run()
            return walk
        except TooFineError as error:
            walk = walk.coarsened(error)
        except UnitsError as error:
            why = f"{error.problem.where} {error.problem.found}"
            walk = walk.again(per_layer={**walk.per_layer, **dict.fromkeys(walk.splitting(error.name), why)})
    name = next(iter(walk.coarser))
    raise RefusedError(name, walk.flat.nodes[name], "no scale of its weights lets every state fit 24 bits")
