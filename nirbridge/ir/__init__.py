"""The extended NIR: primitives, files, shapes and order."""

from nirbridge.needed_nir import NEEDED  # noqa: F401  (first, before anything asks nir for what it may lack)

# isort: split
from nirbridge.ir.compare import graph_differences, graphs_equal
from nirbridge.ir.delays import delay_steps
from nirbridge.ir.event_input import EventInput
from nirbridge.ir.extension import OPSET, TEXT_FIELDS, Extension, Shape, is_real
from nirbridge.ir.families import BINARY, DEFAULT_DT, PHASE_CODED, SPIKING, TIME_CONSTANTS, time_step
from nirbridge.ir.flat import FlatGraph, Graph, flatten, label
from nirbridge.ir.hdf5_reader import read, read_flat
from nirbridge.ir.hdf5_writer import write
from nirbridge.ir.inference import Shapes, build_graph, infer_shapes
from nirbridge.ir.linear import Aggregate, MaxPool2d, TemporalMix
from nirbridge.ir.multilevel import MultiLevelLIF
from nirbridge.ir.once import once
from nirbridge.ir.phase import PhaseDecode, PhaseEncode, PhaseIF
from nirbridge.ir.products import Place, Product
from nirbridge.ir.provenance import frames_of_inference, mark_copy, mark_inference, original
from nirbridge.ir.quantize import Quantize
from nirbridge.ir.registry import CORE, EXTENSIONS, INPUTS, PRIMITIVES
from nirbridge.ir.sparse import SparseMatrix
from nirbridge.ir.topology import Source, Topology, find_topology

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
    "TEXT_FIELDS",
    "TIME_CONSTANTS",
    "Aggregate",
    "EventInput",
    "Extension",
    "FlatGraph",
    "Graph",
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
    "Source",
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
    "is_real",
    "label",
    "mark_copy",
    "mark_inference",
    "once",
    "original",
    "read",
    "read_flat",
    "time_step",
    "write",
]
