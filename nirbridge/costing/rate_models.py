"""The models of Abillama et al. 2025 and Hwang and Kung 2024: energy is the number of synaptic operations."""

from __future__ import annotations

from nirbridge.costing.activity import Measured, Traffic
from nirbridge.costing.costs import SYNAPTIC
from nirbridge.costing.layers import Layer
from nirbridge.costing.products import multiply
from nirbridge.costing.report import LayerEnergy
from nirbridge.costing.roles import MIXING, PRODUCT, SYNAPSES, synapses_of
from nirbridge.costing.rows import dense_macs, mixing_macs, row
from nirbridge.costing.tally import Tally

SKIPPED_NEURON = "membranes cost nothing in this model; model 'memory' counts them"


def rate_rows(layers: tuple[Layer, ...], measured: Measured) -> tuple[list[LayerEnergy], dict[str, str]]:
    r"""Rows of models "m-lif" and "one-spike", and the neurons that they leave out.

    .. math::
        E_{ANN} &= E_{MAC} \sum_l MAC_l \\
        E_l &= E_{ADD} \, r_l \, MAC_l \quad \text{with event input} \\
        E_l &= E_{MAC} \, MAC_l \, e_l \quad \text{with analog input}

    r is the number of inputs other than 0, over all steps, for each input neuron, so that a multi-level event counts
    once.  e is the number of steps at which an analog input is new: 1 for a still image, as in the papers.  A
    TemporalMix costs a MAC for each of its entries other than 0, value and window.  A Product of I factors costs I - 1
    operations for each value that it sends: additions where powers of two enter it, which are exponents, else MACs.

    Source: Abillama et al., IEEE Access 2025, equations 13 to 17; Hwang and Kung, 2024, equation 6.
    """
    rows, skipped = [], {}
    for layer in layers:
        if layer.role in (SYNAPSES, MIXING, PRODUCT):
            rows.append(_row(layer, measured))
        names = [neuron.planned.name for neuron in layer.neurons]
        skipped.update(dict.fromkeys(names, SKIPPED_NEURON))
    return rows, skipped


def _row(layer: Layer, measured: Measured) -> LayerEnergy:
    costs = SYNAPTIC[measured.bits]
    spent = Tally(costs, measured.bits)
    entering = measured.activity.entering.get(layer.name, Traffic())
    synapses = synapses_of(layer.planned)
    if layer.role == PRODUCT:
        multiply(spent, layer, measured)
    elif synapses is None:
        spent.operate(macs=mixing_macs(layer, measured.activity))
    elif measured.is_analog(layer):
        spent.operate(macs=synapses.macs * entering.evaluations)
    else:
        spent.operate(adds=synapses.macs * entering.events / synapses.inputs)
    return row(layer, measured, spent, costs.mac * dense_macs(layer), entering)
