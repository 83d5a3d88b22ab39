"""What a node does → what its Lava Process gets in precision "fixed": the same cells, with integers for parameters.

The core has refused by then whatever integers cannot say.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from nirbridge.primitives import pooling
from nirbridge.primitives.integers import IntegerForm, whole
from nirbridge.runtime import Plan, PlannedNode, entering_exponents, message_cost, sent_exponents
from nirbridge.runtime.stepping import integer_form_of
from nirbridge_lava import integers, kernels, lowering
from nirbridge_lava.cell import Cell, pointwise, stepwise
from nirbridge_lava.dynamics import Lanes
from nirbridge_lava.integers import Neuron, Shifted
from nirbridge_lava.lowering import LOWERING, flat

FIXED_LOWERING = lowering.table(integers=True)
FIXED_LOWERING.register("mean pool")(lowering.pool(pooling.whole_means))

_SYNAPSES = {
    "MatrixSynapse": (integers.product, "MatrixShift"),
    "ConvSynapse": (integers.exactly(kernels.convolve), "ConvShift"),
    "AggregateSynapse": (integers.exactly(kernels.aggregate), "AggregateShift"),
}
"""Process → what it does, and the Process for messages that are powers of two."""


@FIXED_LOWERING.register("matrix", "convolution", "aggregate")
def _synapse(planned: PlannedNode, dt: float) -> Cell:
    """Weights stay in double precision, which holds them and every sum of theirs exactly."""
    cell = LOWERING[type(planned.node)](planned, dt)
    assert cell is not None
    bias = None if cell.bias is None else whole(cell.bias)
    return replace(cell, behave=pointwise(_SYNAPSES[cell.process][0]), bias=bias)


@FIXED_LOWERING.register("step", "lanes")
def _neuron(planned: PlannedNode, dt: float) -> Cell:
    """The one normal form of all neurons."""
    form, shape = integer_form_of(planned, dt), planned.output_shape
    current = None if form.keep_current is None else flat(form.keep_current, shape)
    gain = None if np.all(form.gain == 1) else flat(form.gain, shape)
    parameters = Neuron(flat(form.keep, shape), gain, current, _lanes(form, shape))
    start = np.broadcast_to(form.v_init, shape).reshape(1, -1)
    rows = start if current is None else np.concatenate([0 * start, start])
    return Cell(type(planned.node).__name__, stepwise(integers.neuron_step), parameters, rows)


def _lanes(form: IntegerForm, shape: tuple[int, ...]) -> Lanes | None:
    if form.threshold is None or form.weight is None or form.amount is None:
        return None
    rows = lowering.lane_rows(form.threshold, form.weight, form.amount, form.subtract, shape)
    v_reset = None if form.subtract else flat(form.v_reset, shape)
    nothing = np.zeros((), np.int64)
    return Lanes(decay=nothing, gain=None, v_reset=v_reset, inclusive=form.at_least, **rows)


def fixed_cells(plan: Plan) -> dict[str, Cell | None]:
    """All nodes lowered; a synapse whose messages are powers of two shifts instead of multiplying."""
    cells = {planned.name: FIXED_LOWERING[type(planned.node)](planned, plan.dt) for planned in plan.nodes}
    sent = sent_exponents(plan)
    for planned in plan.nodes:
        cell = cells[planned.name]
        if cell is None or cell.process not in _SYNAPSES:
            continue
        exponents = entering_exponents(planned, sent)
        if exponents is not None and message_cost(exponents) == "shift":
            function, process = _SYNAPSES[cell.process]
            behave = pointwise(partial(integers.shifted, function))
            cells[planned.name] = replace(
                cell, process=process, behave=behave, parameters=Shifted(cell.parameters, exponents)
            )
    return cells
