"""Trained analog networks → spiking graphs.

``vocabulary`` reads a torch module into an analog graph, ``rewrites`` arranges it, ``calibrate`` finds the largest
activations, ``emit`` writes the spiking graph; ``qcfs`` is the second method; ``measuring`` tells how good it is.
"""

from nirbridge.converting.aggregation import Aggregate
from nirbridge.converting.base import best_base, mape, quantised
from nirbridge.converting.conversion import Conversion, ConversionWarning, Latency, Layer
from nirbridge.converting.convert import convert, convert_in_full
from nirbridge.converting.measuring import LayerError, Report, measure

__all__ = [
    "Aggregate",
    "Conversion",
    "ConversionWarning",
    "Latency",
    "Layer",
    "LayerError",
    "Report",
    "best_base",
    "convert",
    "convert_in_full",
    "mape",
    "measure",
    "quantised",
]
