"""One step of every neuron as a pure function ``(input, state, p, dt) -> (output, state)``, as Norse writes them.

Parameters and states are named tuples of tensors.  ``p`` holds ``dt/tau`` itself: it is divided once, in the same
precision as in the reference, so ``dt`` is there for Norse's convention alone.
"""

from nirbridge_norse.functional.current import (
    CubaLIFParameters,
    CubaLIParameters,
    CurrentState,
    cuba_li_step,
    cuba_lif_step,
)
from nirbridge_norse.functional.integrate import (
    IFParameters,
    IParameters,
    MembraneState,
    integrate_and_fire_step,
    integrator_step,
)
from nirbridge_norse.functional.leak import LIFParameters, LIParameters, li_step, lif_step
from nirbridge_norse.functional.multilevel import (
    LaneTable,
    MultiLevelLIFParameters,
    lane_table,
    multilevel_lif_step,
)

__all__ = [
    "CubaLIFParameters",
    "CubaLIParameters",
    "CurrentState",
    "IFParameters",
    "IParameters",
    "LIFParameters",
    "LIParameters",
    "LaneTable",
    "MembraneState",
    "MultiLevelLIFParameters",
    "cuba_li_step",
    "cuba_lif_step",
    "integrate_and_fire_step",
    "integrator_step",
    "lane_table",
    "li_step",
    "lif_step",
    "multilevel_lif_step",
]
