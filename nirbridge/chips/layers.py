"""A plan as layers: each a population of neurons with the synapses that lead to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from math import prod

import nir

from nirbridge.chips.weights import ONE, Weights
from nirbridge.ir import Shape, delay_steps, find_spec, spec_of
from nirbridge.ir.topology import reached
from nirbridge.primitives.spec import Reach, Wiring
from nirbridge.runtime import Plan, PlannedNode

_SAME_ROW = Reach(1, 1)
_MOST_DELAYS = 128
"""Paths of one source are told apart by their delay, up to this many steps; no chip delays that long."""


@dataclass(frozen=True)
class Path:
    """The synapses between one source population and a layer, all linear nodes between them taken as one.

    Attributes:
        source: the node that sends.
        source_shape: shape of what it sends.
        fan_in: synapses of one neuron, at most: those over borders count too.
        kernel: distinct weights, where a convolution shares them; None where every synapse has its own.
        reach: for convolutions and pools that keep rows; None where every neuron may see every source.
        weights: the range of the merged weights.
        delay: steps, the longest.
        wait: steps of the longest of its delays alone.
        uneven: whether delays behind a synapse differ between neurons.
        split: whether a synapse follows these, so that no merged one has a single delay.
        last: the last node on the way with weights of its own, "" where there is none.
    """

    source: str
    source_shape: Shape
    fan_in: int = 1
    kernel: int | None = None
    reach: Reach | None = _SAME_ROW
    weights: Weights = ONE
    delay: int = 0
    wait: int = 0
    uneven: bool = False
    split: bool = False
    last: str = ""


@dataclass(frozen=True)
class Layer:
    """A population.

    Attributes:
        planned: its neuron; the last synapse of a readout, whose sums the chip must hold in neurons that do not spike.
        paths: the synapses into it.
    """

    planned: PlannedNode
    paths: tuple[Path, ...]

    @property
    def neurons(self) -> int:
        """Their number."""
        return prod(self.planned.output_shape)

    @property
    def states(self) -> int:
        """Numbers that one neuron keeps: a TemporalMix those of a window, in and out."""
        node = self.planned.node
        return sum(node.weight.shape) if spec_of(node).cost.role == "mixing over time" else 2

    @property
    def weights(self) -> Weights:
        """The hull of what its paths weigh."""
        return Weights.hull(path.weights for path in self.paths)


def layers_of(plan: Plan) -> tuple[Layer, ...]:
    """All populations of the plan, in execution order."""
    sent = _sent(plan)
    readouts = _readouts(plan)
    found = []
    for planned in plan.nodes:
        if place_of(planned.node) == "population":
            found.append(Layer(planned, tuple(_arriving(planned, sent))))
        elif planned.name in readouts:
            found.append(Layer(planned, tuple(sent[planned.name])))
    return tuple(found)


def _sent(plan: Plan) -> dict[str, list[Path]]:
    """The paths that each node hands on; a population or an input begins one.

    One pass over the nodes between populations, each behind its sources.  Among them an edge that closes a cycle is
    left out: no integer graph has a cycle without a neuron.
    """
    sent = {p.name: [_begun(p)] for p in plan.nodes if place_of(p.node) in ("population", "host")}
    for name in plan.order_between([p.name for p in plan.nodes if p.name not in sent]):
        sent[name] = [_extended(plan[name], path, plan.dt) for path in _arriving(plan[name], sent)]
    return sent


def _begun(planned: PlannedNode) -> Path:
    shape = planned.output_shape
    return Path(planned.name, shape, reach=Reach(1, 1) if len(shape) == 3 else None)


def _arriving(planned: PlannedNode, sent: dict[str, list[Path]]) -> list[Path]:
    return _joined(path for source in planned.sources for path in sent.get(source.name, ()))


def _readouts(plan: Plan) -> set[str]:
    """The synapses and pools that lead to an output without a neuron behind them."""

    def wires(name: str) -> bool:
        return spec_of(plan[name].node).operation in ("flatten", "delay")

    def before(name: str) -> list[str]:
        return [source.name for source in plan[name].sources]

    last = reached(
        (name for output in plan.outputs for name in before(output)), lambda n: before(n) if wires(n) else ()
    )
    return {name for name in last if not wires(name) and place_of(plan[name].node) not in ("population", "host")}


def _joined(paths: Iterable[Path]) -> list[Path]:
    """Paths from one source with one delay as one: their weights add up."""
    found: dict[tuple[str, int], Path] = {}
    for path in paths:
        key = path.source, min(path.delay, _MOST_DELAYS)
        found[key] = _join(found[key], path) if key in found else path
    return list(found.values())


def _join(one: Path, other: Path) -> Path:
    alike = one.reach == other.reach and one.kernel is not None and other.kernel is not None
    return replace(
        one,
        fan_in=min(one.fan_in + other.fan_in, prod(one.source_shape)),
        kernel=(one.kernel or 0) + (other.kernel or 0) if alike else None,
        reach=one.reach if one.reach == other.reach else None,
        weights=one.weights + other.weights,
        delay=max(one.delay, other.delay),
        wait=max(one.wait, other.wait),
        uneven=one.uneven or other.uneven,
        split=one.split or other.split,
    )


def place_of(node: nir.NIRNode) -> str:
    """Where the node goes: "population", "wiring", "host" or nowhere."""
    spec = find_spec(type(node))
    return "" if spec is None or spec.integers is None else spec.chip.place


def _extended(planned: PlannedNode, path: Path, dt: float) -> Path:
    """The path with the node behind it; what stands nowhere leaves it as it is, and is refused elsewhere."""
    wiring = spec_of(planned.node).chip.wiring
    if wiring is not None:
        return _longer(planned, path, wiring(planned.node))
    move = _MOVES.get(spec_of(planned.node).operation)
    return path if move is None else move(planned, path, dt)


def _forgets_rows(planned: PlannedNode, path: Path, dt: float) -> Path:
    return replace(path, reach=None)


def _delay(planned: PlannedNode, path: Path, dt: float) -> Path:
    steps = delay_steps(planned.node.delay, dt)
    longest, shortest = int(steps.max(initial=0)), int(steps.min(initial=2**62))
    uneven = path.weights.merged > 0 and shortest < longest
    return replace(path, delay=path.delay + longest, wait=max(path.wait, longest), uneven=path.uneven or uneven)


def _scale(planned: PlannedNode, path: Path, dt: float) -> Path:
    return replace(path, weights=path.weights.scaled(planned.node.scale), last=planned.name)


def _place(planned: PlannedNode, path: Path, dt: float) -> Path:
    """Its rows stay rows where it repeats none."""
    repeats = prod(planned.node.slot_shape) // prod(planned.node.input_shape)
    path = replace(path, weights=path.weights.repeated(repeats))
    return path if planned.input_shape[1:] == planned.output_shape[1:] else replace(path, reach=None)


def _longer(planned: PlannedNode, path: Path, wiring: Wiring) -> Path:
    """The path with one more linear node, merged into its synapses; two ways to one source count once at most."""
    before, kernel = path.reach, wiring.kernel
    joined = None
    if before is not None and wiring.reach is not None:
        joined = Reach(before.rows + (wiring.reach.rows - 1) * before.stride, before.stride * wiring.reach.stride)
    return replace(
        path,
        fan_in=min(max(wiring.fan_in, 1) * path.fan_in, prod(path.source_shape)),
        kernel=None if kernel is None or (path.kernel is None and path.weights.merged) else kernel * (path.kernel or 1),
        reach=joined,
        weights=path.weights.behind(wiring.weight, wiring.fan_in, wiring.fan_out),
        split=path.split or path.uneven,
        last=planned.name,
    )


_MOVES: dict[str, Callable[[PlannedNode, Path, float], Path]] = {
    "scale": _scale,
    "delay": _delay,
    "flatten": _forgets_rows,
    "place": _place,
}
"""By operation: what does something else to a path than add a linear node to it."""
