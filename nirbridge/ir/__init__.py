"""The extended NIR: primitives, files, shapes and order."""

from nirbridge.needed_nir import NEEDED  # noqa: F401  (first, before anything asks nir for what it may lack)

# isort: split
from nirbridge.ir.compare import graph_differences, graphs_equal
from nirbridge.ir.flat import FlatGraph, Graph, flatten, label
from nirbridge.ir.hdf5_reader import read, read_flat
from nirbridge.ir.hdf5_writer import write
from nirbridge.ir.inference import Shapes, build_graph, infer_shapes
from nirbridge.ir.moving import moves_values
from nirbridge.ir.once import once
from nirbridge.ir.provenance import (
    frames_of_inference,
    mark_copy,
    mark_inference,
    mark_moves,
    only_moves,
    original,
)
from nirbridge.ir.registry import (
    PRIMITIVES,
    all_specs,
    find_spec,
    is_coded,
    is_input,
    register,
    spec_of,
    time_constants,
)
from nirbridge.ir.time_step import DEFAULT_DT, time_step
from nirbridge.ir.topology import Source, Topology, find_topology
from nirbridge.primitives import (
    OPSET,
    TEXT_FIELDS,
    Aggregate,
    EventInput,
    Extension,
    MaxPool2d,
    MultiLevelLIF,
    PhaseDecode,
    PhaseEncode,
    PhaseIF,
    Place,
    Product,
    Quantize,
    Shape,
    SparseMatrix,
    Spec,
    TemporalMix,
    delay_steps,
    is_real,
)

__all__ = [
    "DEFAULT_DT",
    "OPSET",
    "PRIMITIVES",
    "TEXT_FIELDS",
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
    "Spec",
    "TemporalMix",
    "Topology",
    "all_specs",
    "build_graph",
    "delay_steps",
    "find_spec",
    "find_topology",
    "flatten",
    "frames_of_inference",
    "graph_differences",
    "graphs_equal",
    "infer_shapes",
    "is_coded",
    "is_input",
    "is_real",
    "label",
    "mark_copy",
    "mark_inference",
    "mark_moves",
    "moves_values",
    "once",
    "only_moves",
    "original",
    "read",
    "read_flat",
    "register",
    "spec_of",
    "time_constants",
    "time_step",
    "write",
]
