"""Networks that lava-dl trained, in the file that its netx reads → graphs."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from math import prod
from typing import Any

import nir
import numpy as np
from numpy.typing import NDArray

from nirbridge.errors import GraphError, GraphWarning, InputError
from nirbridge.importing.netx_file import Fields, Layer, read_layers
from nirbridge.importing.netx_neurons import DT, SCALE, neuron_nodes
from nirbridge.importing.netx_values import bias_of, delay_of, kernel_of, pair_of, shape_of, weights_of
from nirbridge.ir import build_graph

Shape = tuple[int, ...]


def read_netx(source: Any, input_shape: Shape | None = None) -> nir.NIRGraph:
    """Reads a network of lava-dl: dense, recurrent dense, convolution, pool and flatten layers of CUBA neurons, delays.

    Weights and biases stay the integers that the file holds; a Scale by 64 before each neuron is Loihi's shift by 6
    bits, and thresholds have it too.  Decays become time constants at steps of 1 ms.  So precision "fixed" runs the
    network as Loihi does, bit for bit; "float" keeps the fractions that it rounds away.  Between layers NIR has no
    delay, where the chip's axons take a step: what a layer sends comes as many steps earlier as layers lie before it.

    An axonal delay stands behind its neuron, as in training; one with a value for each input of a dense layer before
    it.  An ``input`` layer with a neuron takes its input as Lava does, in place of its bias: the graph's input are
    the whole numbers weight·x + bias.

    Args:
        source: a path, or an object that gives bytes, as for ``nirbridge.read``.
        input_shape: (channels, height, width) or (features,) of the input, for a file that does not say it.

    Returns:
        The graph, its nodes named by layer: "layer1", "layer1_synapse", "layer1_delay" and so on.

    Warns:
        GraphWarning: a layer never fires, so its membrane is sent; weights are cut by Loihi itself; an input layer has
            a transform.

    Raises:
        FileError: the file is missing, damaged or of another layout.
        GraphError: a layer, a neuron or a field has no counterpart; its name is said.
        InputError: the input shape is not known, or not that of the file.
    """
    layers = read_layers(source)
    growing = _Growing()
    first = layers[0] if layers[0].kind == "input" else None
    others = layers if first is None else layers[1:]
    shape = _input_shape(first, others, input_shape)
    growing.add("input", nir.Input(np.array(shape)), shape)
    if first is not None and first.neuron is not None:
        _input_neuron(growing, first)
    elif first is not None:
        first.fields.require_known(("shape",))
    for layer in others:
        lower = _LAYERS.get(layer.kind)
        if lower is None:
            found = f"type {layer.kind!r} is not among {', '.join(_LAYERS)}"
            raise GraphError(layer.fields.where, found, "Export the network without it")
        lower(growing, layer)
    growing.add("output", nir.Output(None), growing.shape)
    return build_graph(growing.nodes, growing.edges)


@dataclass
class _Growing:
    """The graph so far.

    Attributes:
        nodes: by name.
        edges: between them.
        last: the node that sends to the next one.
        shape: of what it sends.
    """

    nodes: dict[str, nir.NIRNode] = field(default_factory=dict)
    edges: list[tuple[str, str]] = field(default_factory=list)
    last: str = ""
    shape: Shape = ()

    def add(self, name: str, node: nir.NIRNode, shape: Shape) -> None:
        """A node behind the last one."""
        self.nodes[name] = node
        if self.last:
            self.edges.append((self.last, name))
        self.last, self.shape = name, shape


def _input_neuron(growing: _Growing, layer: Layer) -> None:
    """The numbers that come in take the place of its bias, each step."""
    fields, neuron = layer.fields, layer.neuron
    assert neuron is not None
    fields.require_known(("shape", "weight", "bias"))
    if "weight" in fields.values or "bias" in fields.values:
        transform = f"{_number(fields, 'weight', 1)}·x + {_number(fields, 'bias', 0)}"
        found = f"the graph takes the whole numbers {transform} of the data x, not x"
        warnings.warn(f"{fields.where}: {found}. Apply that first.", GraphWarning, stacklevel=4)
    # They count for the membrane at once, and a current would be for synapses, of which it has none.
    at_once = Fields(neuron.where, {**neuron.values, "iDecay": 4096})
    _add_neuron(growing, layer, at_once, np.zeros(1, np.int64))


def _dense(growing: _Growing, layer: Layer) -> None:
    fields = layer.fields
    fields.require_known(("shape", "inFeatures", "outFeatures", "weight", "weight_rec", "bias", "delay"))
    count = prod(shape_of(fields))
    if len(growing.shape) != 1:
        found = f"gets {growing.shape}, and takes one vector"
        raise GraphError(fields.where, found, "A flatten layer belongs before it")
    weight = weights_of(fields, "weight", (count, growing.shape[0]))
    delay = delay_of(fields)
    inward = delay is not None and delay.size not in (1, count) and delay.size == growing.shape[0]
    if delay is not None and inward:
        growing.add(f"{layer.name}_delay", nir.Delay(delay * DT), growing.shape)
    bias, values = bias_of(fields, count), weight.astype(np.float64)
    with_bias = _bias_at_once(layer) and bias.any()
    node = nir.Affine(values, np.broadcast_to(bias, count).astype(np.float64)) if with_bias else nir.Linear(values)
    growing.add(f"{layer.name}_synapse", node, (count,))
    _add_neuron(growing, layer, layer.neuron, bias)
    if layer.kind == "dense_rec":
        if delay is not None:
            raise GraphError(fields.where, "has delays in a recurrent layer", "Whether they count for its feedback is "
                             "not said: export it without")  # fmt: skip
        back = nir.Linear(weights_of(fields, "weight_rec", (count, count)).astype(np.float64))
        growing.nodes[f"{layer.name}_feedback"] = back
        growing.edges += [(layer.name, f"{layer.name}_feedback"), (f"{layer.name}_feedback", f"{layer.name}_shift")]
    elif "weight_rec" in fields.values:
        raise GraphError(fields.where, "has 'weight_rec', which is for dense_rec", "Export it again")
    if delay is not None and not inward:
        _add_delay(growing, layer, delay)


def _conv(growing: _Growing, layer: Layer) -> None:
    fields = layer.fields
    known = ("shape", "inChannels", "outChannels", "kernelSize", "stride", "padding", "dilation", "groups")
    fields.require_known((*known, "weight", "bias", "delay"))
    weight = kernel_of(fields)
    groups = int(fields.whole("groups", 1))
    _add_convolution(growing, layer, weight, groups, bias_of(fields, len(weight)))


def _pool(growing: _Growing, layer: Layer) -> None:
    """The weighted sum of each window, channel by channel."""
    fields = layer.fields
    fields.require_known(("shape", "kernelSize", "stride", "padding", "dilation", "weight", "delay"))
    channels = growing.shape[0]
    weight = kernel_of(fields)
    if weight.shape[:2] != (1, 1):
        raise GraphError(fields.where, f"weight has shape {weight.shape}, expected one kernel", "Export it again")
    _add_convolution(growing, layer, np.repeat(weight, channels, axis=0), channels, np.zeros(1, np.int64))


def _add_convolution(
    growing: _Growing, layer: Layer, weight: NDArray[np.int64], groups: int, bias: NDArray[np.int64]
) -> None:
    fields = layer.fields
    if len(growing.shape) != 3:
        raise GraphError(fields.where, f"gets {growing.shape}, and takes (channels, height, width)")
    stride, padding, dilation = (pair_of(fields, *of) for of in (("stride", 1), ("padding", 0), ("dilation", 1)))
    shape = shape_of(fields)
    constant = np.broadcast_to(bias if _bias_at_once(layer) else 0, (len(weight),)).astype(np.float64)
    node = nir.Conv2d(growing.shape[1:], weight.astype(np.float64), stride, padding, dilation, groups, constant)
    growing.add(f"{layer.name}_synapse", node, shape)
    _add_neuron(growing, layer, layer.neuron, bias)
    delay = delay_of(fields)
    if delay is not None:
        _add_delay(growing, layer, delay)


def _flatten(growing: _Growing, layer: Layer) -> None:
    layer.fields.require_known(("shape",))
    growing.add(layer.name, nir.Flatten(None, 0, -1), (prod(growing.shape),))


_LAYERS: dict[str, Callable[[_Growing, Layer], None]] = {
    "dense": _dense,
    "dense_rec": _dense,
    "conv": _conv,
    "pool": _pool,
    "flatten": _flatten,
}
"""Type of a layer → what adds its nodes."""


def _add_neuron(growing: _Growing, layer: Layer, neuron: Fields | None, bias: NDArray[np.int64]) -> None:
    if neuron is None:
        found = "has no neuron, which netx reads as an integrator that never fires"
        raise GraphError(layer.fields.where, found, "Export it with its dynamics, or leave the layer out")
    # A chip has this shift in its weights' exponent, and 8 bits hold the weights as they are stored.
    growing.add(f"{layer.name}_shift", nir.Scale(np.full(growing.shape, float(SCALE))), growing.shape)
    for end, node in neuron_nodes(neuron, growing.shape, bias).items():
        growing.add(f"{layer.name}{end}", node, growing.shape)


def _bias_at_once(layer: Layer) -> bool:
    """Whether the synapse may add the bias: a current that does not last takes it for the membrane as it is."""
    return layer.neuron is not None and bool((layer.neuron.whole("iDecay") == 4096).all())


def _add_delay(growing: _Growing, layer: Layer, delay: NDArray[np.int64]) -> None:
    """Of each neuron, or of each channel."""
    shape = growing.shape
    if delay.size == prod(shape):
        steps = delay.reshape(shape)
    elif delay.size in (1, shape[0]):
        steps = np.broadcast_to(delay.reshape(-1, *(1,) * (len(shape) - 1)), shape)
    else:
        raise GraphError(layer.fields.where, f"'delay' has {delay.size} values, expected 1, {shape[0]} or one a neuron")
    growing.add(f"{layer.name}_delay", nir.Delay(steps * DT), shape)


def _input_shape(first: Layer | None, others: list[Layer], given: Shape | None) -> Shape:
    stated: Shape | None = None
    if first is not None:
        stated = shape_of(first.fields)
    elif others and others[0].kind.startswith("dense") and given is None:
        stated = shape_of(others[0].fields, "inFeatures")
    if stated is None and given is None:
        found = "the file has no input layer, so it does not say the shape of its input"
        raise InputError("input shape", found, "Give it, as (2, 34, 34)")
    if stated is not None and given is not None and stated != given:
        raise InputError("input shape", f"{given}, and the file says {stated}", "Leave it out")
    return stated or given or ()


def _number(fields: Fields, name: str, default: int) -> str:
    return f"{np.asarray(fields.values.get(name, default), np.float64).reshape(-1)[0]:g}"
