"""The extended NIR: primitives, files, shapes and order."""

from nirbridge.ir.compare import graph_differences, graphs_equal
from nirbridge.ir.event_input import EventInput
from nirbridge.ir.extension import OPSET, TEXT_FIELDS, Extension, Shape, is_real
from nirbridge.ir.families import BINARY, DEFAULT_DT, SPIKING, TIME_CONSTANTS, time_step
from nirbridge.ir.flat import FlatGraph, flatten, label
from nirbridge.ir.hdf5_reader import read
from nirbridge.ir.hdf5_writer import write
from nirbridge.ir.inference import Shapes, build_graph, infer_shapes
from nirbridge.ir.linear import Aggregate, MaxPool2d, TemporalMix
from nirbridge.ir.multilevel import MultiLevelLIF
from nirbridge.ir.phase import PhaseDecode, PhaseEncode, PhaseIF
from nirbridge.ir.products import Place, Product
from nirbridge.ir.provenance import mark_copy, original
from nirbridge.ir.registry import CORE, EXTENSIONS, INPUTS, PRIMITIVES
from nirbridge.ir.sparse import SparseMatrix
from nirbridge.ir.topology import Topology, find_topology

__all__ = [
    "BINARY",
    "CORE",
    "DEFAULT_DT",
    "EXTENSIONS",
    "INPUTS",
    "OPSET",
    "PRIMITIVES",
    "SPIKING",
    "TEXT_FIELDS",
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
    "Shape",
    "Shapes",
    "SparseMatrix",
    "TemporalMix",
    "Topology",
    "build_graph",
    "find_topology",
    "flatten",
    "graph_differences",
    "graphs_equal",
    "infer_shapes",
    "is_real",
    "label",
    "mark_copy",
    "original",
    "read",
    "time_step",
    "write",
]
