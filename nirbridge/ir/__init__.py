"""The extended NIR: primitives, files, shapes and order."""

from nirbridge.needed_nir import NEEDED  # noqa: F401  (first, before anything asks nir for what it may lack)

# isort: split
from nirbridge.ir.compare import graph_differences, graphs_equal
from nirbridge.ir.delays import delay_steps
from nirbridge.ir.event_input import EventInput
from nirbridge.ir.extension import OPSET, Extension, Shape
from nirbridge.ir.families import BINARY, DEFAULT_DT, PHASE_CODED, SPIKING, TIME_CONSTANTS, time_step
from nirbridge.ir.flat import FlatGraph, flatten, label
from nirbridge.ir.hdf5_reader import read
from nirbridge.ir.hdf5_writer import write
from nirbridge.ir.linear import Aggregate, MaxPool2d, TemporalMix
from nirbridge.ir.multilevel import MultiLevelLIF
from nirbridge.ir.phase import PhaseDecode, PhaseEncode, PhaseIF
from nirbridge.ir.products import Place, Product
from nirbridge.ir.provenance import frames_of_inference, mark_copy, mark_inference, original
from nirbridge.ir.quantize import Quantize
from nirbridge.ir.registry import CORE, EXTENSIONS, INPUTS, PRIMITIVES
from nirbridge.ir.shapes import Shapes, build_graph, infer_shapes
from nirbridge.ir.sparse import SparseMatrix
from nirbridge.ir.topology import Topology, find_topology

__all__ = [
    "BINARY",
    "CORE",
    "DEFAULT_DT",
    "EXTENSIONS",
    "INPUTS",
    "OPSET",
    "PHASE_CODED",
    "PRIMITIVES",
    "SPIKING",
    "TIME_CONSTANTS",
    "Aggregate",
    "EventInput",
    "Extension",
    "FlatGraph",
    "MaxPool2d",
    "MultiLevelLIF",
    "PhaseDecode",
    "PhaseEncode",
    "PhaseIF",
    "Place",
    "Product",
    "Quantize",
    "Shape",
    "Shapes",
    "SparseMatrix",
    "TemporalMix",
    "Topology",
    "build_graph",
    "delay_steps",
    "find_topology",
    "flatten",
    "frames_of_inference",
    "graph_differences",
    "graphs_equal",
    "infer_shapes",
    "label",
    "mark_copy",
    "mark_inference",
    "original",
    "read",
    "time_step",
    "write",
]
