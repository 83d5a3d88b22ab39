"""What nirbridge knows of a node type, in one frozen object: :class:`Spec`.

Every other part asks it; no table of node types stands anywhere else.  A field that a primitive leaves out fails at
import with the field's name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import nir
import numpy as np
from numpy.typing import NDArray

from nirbridge.primitives.fields import Shape
from nirbridge.primitives.trial import require_one_meaning

if TYPE_CHECKING:
    from nirbridge.primitives.examples import Draw, Example
    from nirbridge.primitives.integers import IntegerForm, Reason

Array = NDArray[Any]
"""Any numpy array."""
ShapeRule = Callable[[Any, Shape], Shape]
Step = Callable[..., Any]
"""``step(x, *state, *parameters) -> (y, *state)`` in plain operators and :func:`~nirbridge.primitives.where`."""

HELD = "line"
"""What a Delay still holds, among the states of a program; no other state has this name."""


def arguments_of(step: Step) -> tuple[str, ...]:
    """The names of what a step takes."""
    code = step.__code__
    return tuple(code.co_varnames[: code.co_argcount])


class Bounds(NamedTuple):
    """The least and the largest value that each output of a node can have."""

    low: Array
    high: Array


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Dynamics:
    """What a node with a state does at every step.

    Attributes:
        step: ``(x, *state, *parameters) -> (y, *state)``: the meaning.  Its parameters are fields of the node, or
            ``derived``; a comparison counts as 1 where it holds and as 0 elsewhere.
        state: the states, in the order of ``step``; ``v`` is the membrane, which can be recorded.
        start: state → its value before the first step, from the node; 0 for those it leaves out.
        derived: parameter of ``step`` → its value from the node and dt, in double precision.
        subtracting: the same step for reset "subtract", with ``amount`` in the place of ``v_reset``; None where the
            call has no say in the reset.
        choose: the step of a node whose fields choose among several; None where ``step`` is the only one.
        leaks: (time constant, factor on what flows in) of each leaky state, by which ``integrator`` works.
    """

    step: Step
    state: tuple[str, ...]
    start: Mapping[str, Callable[[Any], Any]] = field(default_factory=dict)
    derived: Mapping[str, Callable[[Any, float], Any]] = field(default_factory=dict)
    subtracting: Step | None = None
    choose: Callable[[Any], Step] | None = None
    leaks: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        names = arguments_of(self.step)
        if names[: 1 + len(self.state)] != ("x", *self.state) or "v" not in self.state:
            raise TypeError(f"step{names} does not begin with x and the states {self.state}, of which one is v")
        if HELD in self.state:
            raise TypeError(f"state {HELD!r} has the name of what a Delay holds: rename it")

    def step_of(self, node: nir.NIRNode, subtract: bool) -> Step:
        """The step of this node; with ``subtract`` the one that takes ``amount`` off."""
        if subtract and self.subtracting is not None:
            return self.subtracting
        return self.step if self.choose is None else self.choose(node)

    def parameter_names(self, step: Step) -> tuple[str, ...]:
        """What ``step`` takes behind the states."""
        return arguments_of(step)[1 + len(self.state) :]

    def values(self, node: nir.NIRNode, dt: float, amount: Any = None) -> dict[str, Any]:
        """Every parameter of the node's step by name, in its order; ``amount`` is what a spike subtracts."""
        step = self.step_of(node, amount is not None)
        given = {} if amount is None else {"amount": amount}
        return {
            name: given[name]
            if name in given
            else self.derived[name](node, dt)
            if name in self.derived
            else getattr(node, name)
            for name in self.parameter_names(step)
        }


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Sends:
    """What a node sends.

    Attributes:
        kind: "binary" (0 or 1), "levels" (0 or one of few values), "membrane", "analog" (sums and the like), "passed"
            (what it gets from its one sender, and 0) or "data" (what comes from outside).
        values: of "levels", from the node: (S, ...), axis 0 counts them.
        range: from the node, the least and largest value whatever comes in; None where there is none.
    """

    kind: Literal["binary", "levels", "membrane", "analog", "passed", "data"]
    values: Callable[[Any], Array] | None = None
    range: Callable[[Any], tuple[float, float]] | None = None

    @property
    def spikes(self) -> bool:
        """Whether it sends spikes whatever comes in: 0, or one of few values."""
        return self.kind in ("binary", "levels")

    def largest(self, node: nir.NIRNode) -> Array:
        """The magnitudes that its spikes can have."""
        return np.ones(1) if self.values is None else np.abs(np.asarray(self.values(node), dtype=np.float64))


BINARY = Sends(kind="binary", range=lambda node: (0.0, 1.0))
"""Spikes of 0 and 1."""
MEMBRANE = Sends(kind="membrane")
"""The membrane itself, at every step."""
ANALOG = Sends(kind="analog")
PASSED = Sends(kind="passed")
DATA = Sends(kind="data")


class WindowRun(NamedTuple):
    """What a node does with a whole window, in plain operators.

    Attributes:
        run: ``(frames, **parameters) -> (what it sends, its membrane after each input frame or None)``, all of them
            sequences of frames [B, *shape].
        parameters: from the node; arrays among them, also in tuples, are cast by the runtime.
        by_hand: name of the pass that a runtime may keep for it by hand, to the same bits; empty where it has none.
    """

    run: Callable[..., tuple[Sequence[Any], Sequence[Any] | None]]
    parameters: Callable[[Any], dict[str, Any]]
    by_hand: str = ""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Window:
    """Steps that belong together.

    Attributes:
        steps: input steps of a window, from the node.
        ratio: output steps for one input step, from the node.
        coded: whether its values are sent as phases of the window.
        keeps_membrane: whether it keeps a membrane within the window, which can be recorded.
        real: what it does, in floating point; None where runtimes keep it by hand.
        integer: the same in precision "fixed", on whole numbers of whatever dtype.
    """

    steps: Callable[[Any], int]
    ratio: Callable[[Any], Fraction]
    coded: bool = False
    keeps_membrane: bool = False
    real: WindowRun | None = None
    integer: WindowRun | None = None


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Fires:
    """What the membrane of a spiking node is compared with, in the unit in which it is recorded.

    Attributes:
        thresholds: from the node, one for each lane or phase, each broadcastable to the node's shape.
        integer: the same in precision "fixed"; None where they are the node's own numbers too.
        reset: from the node, the membrane after a spike; None where a spike takes an amount off, or does nothing.
        note: what the thresholds leave out, in a few words, as "at rest".
    """

    thresholds: Callable[[Any], Sequence[Array]]
    integer: Callable[[Any], Sequence[Array]] | None = None
    reset: Callable[[Any], Array | None] = lambda node: None
    note: str = ""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Integers:
    """What precision "fixed" knows of a node (docs/fixed_point.md).

    Attributes:
        fields: that integers are stored in, by their dtype.
        limit: largest magnitude of what they hold; None for any.
        against: reasons why these parameters have no integer form, from the node and dt; None where no others are than
            a field that holds something else than integers up to the limit.
        form: of a neuron the one normal form, from the node and dt; None for what has no state of its own.
        grows: (node, bound x of what enters) → bound of what it computes with, a·x + b with whole a and b.
        quantise: name of the rule in :mod:`nirbridge.quantizing` that makes integers of it, or the rule.
        unit: what the integer 1 stands for in its messages, whatever enters; None where it follows from what enters.
    """

    quantise: str | Callable[..., Any]
    fields: tuple[str, ...] = ()
    limit: int | None = None
    against: Callable[[Any, float], Iterator[Reason]] | None = None
    form: Callable[[Any, float], IntegerForm] | None = None
    grows: Callable[[Any, int], int] = lambda node, x: x
    unit: Callable[[Any], Array] | None = None


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Floats:
    """What rounding in a narrow dtype needs to know.

    Attributes:
        least: (node, dt) → the least of what it multiplies with.
        reaches: (node, bound of what enters, dt, what a spike takes off) → bound of its state; None where nothing
            bounds it.  Nodes without a state have none.
    """

    least: Callable[[Any, float], float] = lambda node, dt: 1.0
    reaches: Callable[[Any, int, float, int], int | None] | None = None


@dataclass(frozen=True)
class Membrane:
    """What one neuron does at every step.

    Attributes:
        states: numbers that it reads and writes.
        multiplies: multiplications by a leak or a base; 0 where the factor is 1, or 2, which is a shift.
    """

    states: int
    multiplies: int


@dataclass(frozen=True)
class Synapses:
    """One layer of synapses; all numbers are for one sample.

    Attributes:
        macs: multiply-accumulates of one dense evaluation.
        inputs: values that enter.
        outputs: values that leave.
        fan_out: weights that one event reads, and potentials that it reads and writes.
        fan_out_adds: additions that one event causes.
        weights: words of the weight memory.
        bias: words of the bias memory, 0 where there is no bias; a bias of zeros is none.
        input_reads: reads of inputs in one dense evaluation.
    """

    macs: int
    inputs: int
    outputs: int
    fan_out: float
    fan_out_adds: float
    weights: int
    bias: int
    input_reads: int


Role = Literal["boundary", "synapses", "spiking neuron", "analog neuron", "mixing over time", "product", "transparent"]


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Cost:
    """What a node is to an energy model.

    Attributes:
        role: what is counted of it.
        uncounted: why it costs nothing, here and in the ANN alike; empty where it is counted.
        membrane: of a neuron, what it does at every step, from the node.
        synapses: of synapses, (node, input shape, output shape) → their numbers.
        unit: of what hands values on: (node, value of level 1 that enters, output shape) → that which leaves.
        family: (node, whether steps are mixed) → the name by which sweeps group networks; None where it has none.
    """

    role: Role
    uncounted: str = ""
    membrane: Callable[[Any], Membrane] | None = None
    synapses: Callable[[Any, Shape, Shape], Synapses] | None = None
    unit: Callable[[Any, Array, Shape], Array] | None = None
    family: Callable[[Any, bool], str] | None = None


class Reach(NamedTuple):
    """Which rows of a source an output row sees: ``rows`` of them, ``stride`` further for each output row."""

    rows: int
    stride: int


class Wiring(NamedTuple):
    """A linear node between two populations of a chip, merged into the synapses.

    Attributes:
        weight: its numbers.
        fan_in: inputs that one output adds up.
        fan_out: outputs that one input reaches.
        kernel: distinct weights, where a convolution shares them.
        reach: for convolutions and pools that keep rows.
    """

    weight: Any
    fan_in: int
    fan_out: int
    kernel: int | None = None
    reach: Reach | None = None


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Chip:
    """Where a node goes on a chip.

    Attributes:
        place: "host", "population", "wiring" between populations, or "" for nowhere.
        wiring: of linear nodes, from the node; None for what only moves, scales or delays.
        refused: why no chip runs it, and the next step, with "; " between.
        fixed: what of the node the one fixed neuron of an older chip has not, from the node; empty where it has all.
    """

    place: Literal["host", "population", "wiring", ""]
    wiring: Callable[[Any], Wiring] | None = None
    refused: str = ""
    fixed: Callable[[Any], str] = lambda node: ""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Shown:
    """How people see a node.

    Attributes:
        role: the family whose colour it has, a key of :data:`nirbridge.showing.roles.ROLES`.
        fields: its parameters that tell what it does, in order.
    """

    role: str
    fields: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Checks:
    """What rules about a graph ask.

    Attributes:
        factors: fields that all of its input passes through, so that zeros in them mute it.
        seconds: fields in seconds that are no time constants.
        unused: (from the node, the field that its own choice leaves unused, that choice's field).
        bounds: (node, bounds of what enters, output shape) → bounds of what leaves; None where the range says it.
        reaches: (node, bounds of what enters) → where its threshold can be reached; None where it has none.
    """

    factors: tuple[str, ...] = ()
    seconds: tuple[str, ...] = ()
    unused: tuple[Callable[[Any], str], str] | None = None
    bounds: Callable[[Any, Bounds, Shape], Bounds] | None = None
    reaches: Callable[[Any, Bounds], Array] | None = None


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Spec:
    """A primitive.

    Attributes:
        node: its dataclass.
        stored: whether files hold it; what exists between passes only is not.
        parameters: fields that broadcast against the shape that arrives.
        none_means: field → what None says in it, from the node, as other tools leave it.
        shape: the shape that it makes of the one that enters.
        states: the input shape that a node states by itself, None where it takes what comes.
        operation: what runtimes do with it: "step" for ``dynamics.step``, "window" for what ``window`` does, else the
            name of what they keep by hand.
        by_hand: why it is kept by hand; empty for "step" and "window".
        dynamics: of a node with a state; None for one without.
        sends: what it sends.
        fires: of what sends spikes from a membrane, its thresholds; None for all else.
        window: of a node that works on whole windows; None for step by step.
        floats: rounding in a narrow dtype.
        integers: precision "fixed"; None where the node has no integer form, so that quantising, chips and "fixed"
            refuse it by name.
        cost: energy.
        chip: chips.
        shown: text and pictures.
        checks: rules.
        draws: how random graphs make one.
        examples: the cases on which every runtime must be exact, in floating point.
        integer_examples: the same of integers.
    """

    node: type[nir.NIRNode]
    stored: bool = True
    parameters: tuple[str, ...]
    none_means: Mapping[str, Callable[[Any], Any]]
    shape: ShapeRule
    states: Callable[[Any], Shape | None]
    operation: str
    by_hand: str
    dynamics: Dynamics | None
    sends: Sends
    fires: Fires | None
    window: Window | None
    floats: Floats
    integers: Integers | None
    cost: Cost
    chip: Chip
    shown: Shown
    checks: Checks
    draws: tuple[Draw, ...]
    examples: Callable[[], list[Example]]
    integer_examples: Callable[[], list[Example]]

    def __post_init__(self) -> None:
        name = self.node.__name__
        derived = self.operation in ("step", "window")
        if derived == bool(self.by_hand) or (self.operation == "step" and self.dynamics is None):
            raise TypeError(f"{name}: operation {self.operation!r} with the reason {self.by_hand!r} for work by hand")
        if (self.fires is not None) != (self.sends.spikes and self.has_membrane):
            raise TypeError(f"{name}: fires belongs to what sends spikes from a membrane, and to nothing else")
        if self.dynamics is not None and is_dataclass(self.node):
            held = {field.name for field in fields(self.node)} | {*self.dynamics.derived, "amount"}
            steps = tuple(filter(None, (self.dynamics.step, self.dynamics.subtracting)))
            missing = {n for step in steps for n in self.dynamics.parameter_names(step)} - held
            if missing:
                raise TypeError(f"{name}: step takes {sorted(missing)}, which are no fields and not derived")
            for step in steps if self.operation == "step" else ():
                require_one_meaning(name, step, arguments_of(step), len(self.dynamics.state))

    @property
    def time_constants(self) -> tuple[str, ...]:
        """Its fields that hold time constants, in seconds."""
        return () if self.dynamics is None else tuple(constant for constant, _ in self.dynamics.leaks)

    @property
    def resets(self) -> bool:
        """Whether the call says what a spike does to the membrane: v_reset, or a subtraction."""
        return self.dynamics is not None and self.dynamics.subtracting is not None

    @property
    def is_neuron(self) -> bool:
        """Whether it sends spikes or its membrane."""
        return self.sends.kind in ("binary", "levels", "membrane")

    @property
    def has_membrane(self) -> bool:
        """Whether its membrane can be recorded."""
        return self.dynamics is not None or (self.window is not None and self.window.keeps_membrane)


STATELESS: dict[str, Any] = {"parameters": (), "none_means": {}, "dynamics": None, "fires": None, "window": None}
"""The fields of a node that keeps nothing from step to step, and whose parameters do not broadcast to its input."""


def transparent(why: str, unit: Callable[[Any, Array, Shape], Array]) -> Cost:
    """The cost of a node that hands values on, and costs nothing for the reason given."""
    return Cost(role="transparent", uncounted=why, unit=unit)


def boundary(why: str) -> Cost:
    """The cost of a node at the end of the graph."""
    return Cost(role="boundary", uncounted=why)


HOST, MOVES, POPULATION = Chip(place="host"), Chip(place="wiring"), Chip(place="population")
"""Outside of a chip; what moves, scales or delays between its populations; a population that any chip has."""
