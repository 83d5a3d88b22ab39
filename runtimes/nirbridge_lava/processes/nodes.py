"""Every Process with its models; what each does is in the cells that it is given."""

from __future__ import annotations

from nirbridge.ir import all_specs
from nirbridge_lava.models import NetworkModel, NetworkProcess, StageModel, StageProcess, define_process

OWN = ("step", "lanes", "window")
NODES = {
    "Delay": "Each neuron's input, its own number of data steps later.",
    "FirstSpikePool2d": "Max pool of a phase code: the train whose spikes come first wins.",
    "TemporalMix": "Mixes the steps of a window.",
    "Pool2d": "Sum, average or max pool, per step.",
    "Scale": "Element-wise factor.",
    "Threshold": "1 where the input exceeds a limit.",
    "SlotPlace": "The input as one slot of a longer vector, repeated where it has one value for many places.",
    "SlotProduct": "The product of the slots of its input, element by element.",
    "Quantize": 'The input rounded to a grid and cut to a range; in precision "fixed" the host does it.',
    **{spec.node.__name__: f"What {spec.node.__name__} says itself." for spec in all_specs() if spec.operation in OWN},
}
"""Process → what it is; a message of those that work on windows holds a window, so none is split or mixed."""
SYNAPSES = {
    # Lava's Conv holds groups, stride and padding as int8, knows no one-sided padding, and calls scipy once for each
    # pair of channels; its Dense takes neither an input of several axes nor several steps.
    "ConvSynapse": "Convolution in one or two dimensions, one step late.",
    "MatrixSynapse": "W x over the last axis, one step late.",
    "AggregateSynapse": "W x over the first axis, the nodes of a graph network; one step late.",
    "ConvShift": "Convolution for messages that are powers of two: sums of weights, shifted lane by lane.",
    "MatrixShift": "W x for such messages; one step late.",
    "AggregateShift": "W x over the first axis for such messages; one step late.",
}
FRAMES = {
    "FrameSource": "Sends the frames of an input, one portion a step.",
    "FrameSink": "Keeps what one node sends.",
    "Relay": "The same frames some Lava steps later, so that branches of different depth meet at the same frame.",
    "Cycle": "The nodes of one cycle, whose edges must take exactly one step of the data.",
    "Place": "What enters one node of a cycle, as a part of what enters all.",
    "Take": "What leaves one node of a cycle, out of what leaves all.",
    "Tie": "Connects parts of a graph that would else be separate networks to Lava.",
}
"""What the wiring adds between the nodes."""

FusedGraph = define_process("FusedGraph", "A whole graph.", NetworkProcess, NetworkModel, globals())


def process_class(name: str) -> type:
    """The Process of that name; one is made for a primitive that was registered after this file was loaded."""
    return PROCESSES.get(name) or _define(name, f"What {name} says itself.")


def _define(name: str, what: str) -> type:
    PROCESSES[name] = define_process(name, what, StageProcess, StageModel, globals())
    return PROCESSES[name]


PROCESSES: dict[str, type] = {}
for _name, _what in (NODES | SYNAPSES | FRAMES).items():
    _define(_name, _what)
