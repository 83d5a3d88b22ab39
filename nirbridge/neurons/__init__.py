"""Multi-level spiking neurons to train with: torch modules over [T, B, ...].

Their forward is, operation for operation, the meaning of the graph node that ``nirbridge.export`` makes of them.
"""

from nirbridge.neurons.base import SpikingNeuron
from nirbridge.neurons.dropout import TimeDropout
from nirbridge.neurons.lmht import LMHT
from nirbridge.neurons.multilevel_if import Barrier, MultiLevelIF
from nirbridge.neurons.multilevel_lif import MultiLevelLIF
from nirbridge.neurons.overtime import OverTime, time_steps
from nirbridge.neurons.primitive import PrimitiveNeuron
from nirbridge.neurons.qcfs import QCFS
from nirbridge.neurons.recurrent import Recurrent
from nirbridge.neurons.surrogates import Sigmoid, Surrogate, Tet, Triangle

__all__ = [
    "LMHT",
    "QCFS",
    "Barrier",
    "MultiLevelIF",
    "MultiLevelLIF",
    "OverTime",
    "PrimitiveNeuron",
    "Recurrent",
    "Sigmoid",
    "SpikingNeuron",
    "Surrogate",
    "Tet",
    "TimeDropout",
    "Triangle",
    "time_steps",
]
