"""The memory-aware model of Lemaire et al., ICONIP 2022: accesses of memories besides arithmetic."""

from __future__ import annotations

from math import prod

from nirbridge.costing.activity import Measured, Traffic
from nirbridge.costing.costs import INTEGER
from nirbridge.costing.layers import Layer, Neuron
from nirbridge.costing.products import multiplications, multiply
from nirbridge.costing.report import LayerEnergy
from nirbridge.costing.roles import MIXING, PRODUCT, cost_of, synapses_of
from nirbridge.costing.rows import mixing_macs, row
from nirbridge.costing.tally import Tally
from nirbridge.ir import PhaseIF
from nirbridge.primitives.spec import Membrane, Synapses

QUEUE = 0
"""Words of the memory that events wait in."""


def memory_rows(layers: tuple[Layer, ...], measured: Measured) -> tuple[list[LayerEnergy], dict[str, str]]:
    r"""Rows of model "memory"; it leaves no neuron out.

    With Θ events that enter, Σz their levels, Θ_out events that leave, M neurons, T steps, and for a convolution
    f = C_out k² (divided by its groups) weights for each event, for a linear layer f = N_out:

    ===========  ==========================================================  ==================
    memory       accesses                                                    words
    ===========  ==========================================================  ==================
    input        Θ reads                                                     a queue
    weights      Θ f reads                                                   the weights
    potentials   Θ f + T M reads, and as many writes                         M
    bias         T M reads, where the layer has one                          the biases
    output       Θ_out writes                                                a queue
    ===========  ==========================================================  ==================

    Additions: Σz f' + T M + Θ_out, where f' = ⌈k/s⌉² C_out for a convolution; T M MACs if the neuron leaks.  A
    multi-level event is thus one event to memories and Σz additions.  What the papers leave open is counted so:

    1. Neurons with two states (CubaLIF) access both, and leak both.  A PhaseIF works for phases + wait steps of each
       window; a multiplication by base 2 is a shift and costs nothing.
    2. Events that reach a neuron without synapses, as a shortcut's do: Θ input reads, Θ reads and writes of
       potentials, Σz additions.
    3. Synapses that share their neurons with others (a residual branch) pay for their events alone; synapses without
       any neuron keep M sums that they read and clear at every step, and write M results once.
    4. Analog input: a dense evaluation, as in the ANN, for each step at which it is new; its M results are written
       then and read at every step.
    5. Analog neurons (LI, PhaseDecode, ..) write M results once.
    6. TemporalMix writes each value that enters, and for each MAC reads one, from T_in M words.
    7. A Product of I factors: Θ input reads; each event is written to and read from I M words, where factors wait for
       each other; I - 1 operations and an output write for each value that it sends, additions where powers of two
       enter.  In the ANN it reads I M values, does (I - 1) M MACs and writes M values.

    ANN: a convolution reads an input and a weight for each MAC, a linear layer each input once; both read M biases
    where there are any, write M outputs, and do one MAC a synapse and one addition a bias.

    Source: Lemaire et al., ICONIP 2022 (equations 3 to 15), as Castagnetti, Pegatoquet and Miramond, 2025,
    use it.
    """
    return [_row(layer, measured) for layer in layers], {}


def _row(layer: Layer, measured: Measured) -> LayerEnergy:
    costs = INTEGER[measured.bits]
    spent, ann = Tally(costs, measured.bits), Tally(costs, measured.bits)
    synapses = synapses_of(layer.planned)
    entering = Traffic()
    if synapses is not None:
        entering = measured.activity.entering[layer.name]
        _dense(ann, synapses)
        if measured.is_analog(layer):
            _analog(spent, layer, synapses, entering, measured)
        else:
            _events(spent, layer, synapses, entering, measured)
    elif layer.role == MIXING:
        _mixing(spent, layer, measured)
    elif layer.role == PRODUCT:
        entering = measured.activity.entering[layer.name]
        _product(spent, ann, layer, entering, measured)
    else:
        entering = measured.activity.direct[layer.name]
    for neuron in layer.neurons:
        _neuron(spent, neuron, measured)
    return row(layer, measured, spent, ann.pj, entering)


def _dense(spent: Tally, synapses: Synapses, times: float = 1.0) -> None:
    """Dense evaluations of a layer, with their outputs."""
    spent.access("input reads", synapses.input_reads * times, synapses.inputs)
    spent.access("weights reads", synapses.macs * times, synapses.weights)
    spent.access("output writes", synapses.outputs * times, synapses.outputs)
    spent.operate(macs=synapses.macs * times)
    if synapses.bias:
        spent.access("bias reads", synapses.outputs * times, synapses.bias)
        spent.operate(adds=synapses.outputs * times)


def _analog(spent: Tally, layer: Layer, synapses: Synapses, entering: Traffic, measured: Measured) -> None:
    """Case 4; results that no neuron takes are not read again."""
    _dense(spent, synapses, entering.evaluations)
    if layer.neurons or layer.shares:
        spent.access("currents reads", measured.activity.steps_of(layer.planned) * synapses.outputs, synapses.outputs)


def _events(spent: Tally, layer: Layer, synapses: Synapses, entering: Traffic, measured: Measured) -> None:
    """The synapses' own part, and case 3."""
    every_step = measured.activity.steps_of(layer.planned) * synapses.outputs
    met = entering.events * synapses.fan_out
    spent.access("input reads", entering.events, QUEUE)
    spent.access("weights reads", met, synapses.weights)
    spent.access("potentials reads", met, synapses.outputs)
    spent.access("potentials writes", met, synapses.outputs)
    spent.operate(adds=entering.levels * synapses.fan_out_adds)
    if synapses.bias:
        spent.access("bias reads", every_step, synapses.bias)
    if not layer.neurons and not layer.shares:
        spent.access("potentials reads", every_step, synapses.outputs)
        spent.access("potentials writes", every_step, synapses.outputs)
        spent.operate(adds=every_step)
        spent.access("output writes", synapses.outputs, QUEUE)


def _neuron(spent: Tally, neuron: Neuron, measured: Measured) -> None:
    """T M accesses and operations, cases 1, 2 and 5."""
    planned, activity = neuron.planned, measured.activity
    size = prod(planned.output_shape)
    rule = cost_of(planned).membrane
    membrane = Membrane(0, 0) if rule is None else rule(planned.node)
    updates = _steps(neuron, measured) * size
    sent, direct = activity.leaving[planned.name], activity.direct[planned.name]
    spent.access("input reads", direct.events, QUEUE)
    for access in ("potentials reads", "potentials writes"):
        spent.access(access, direct.events + membrane.states * updates, max(membrane.states, 1) * size)
    spent.operate(macs=membrane.multiplies * updates, adds=updates + direct.levels)
    if neuron.spiking:
        spent.access("output writes", sent.events, QUEUE)
        spent.operate(adds=sent.events)
    elif not neuron.internal:
        spent.access("output writes", size, QUEUE)


def _steps(neuron: Neuron, measured: Measured) -> float:
    """Steps at which the neuron works in one inference."""
    node = neuron.planned.node
    steps = measured.activity.steps_of(neuron.planned)
    return steps * (node.phases + node.wait) / node.phases if type(node) is PhaseIF else steps


def _mixing(spent: Tally, layer: Layer, measured: Measured) -> None:
    """Case 6."""
    steps_out, steps_in = layer.planned.node.weight.shape
    size = prod(layer.planned.output_shape)
    macs = mixing_macs(layer, measured.activity)
    windows = measured.activity.steps_of(layer.planned) / steps_out
    spent.access("window writes", windows * steps_in * size, steps_in * size)
    spent.access("window reads", macs, steps_in * size)
    spent.operate(macs=macs)


def _product(spent: Tally, ann: Tally, layer: Layer, entering: Traffic, measured: Measured) -> None:
    """Case 7."""
    size = prod(layer.planned.output_shape)
    words = prod(layer.planned.input_shape)
    ann.access("input reads", words, words)
    ann.access("output writes", size, size)
    ann.operate(macs=multiplications(layer.planned))
    spent.access("input reads", entering.events, QUEUE)
    spent.access("potentials writes", entering.events, words)
    spent.access("potentials reads", entering.events, words)
    spent.access("output writes", measured.activity.leaving[layer.name].events, QUEUE)
    multiply(spent, layer, measured)
