"""Neuron passes that numba compiles for the CPU, and Triton for CUDA; without, torch steps, slower and equal."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec


@cache
def numba_is_there() -> bool:
    """Whether the fused passes can be compiled here."""
    return find_spec("numba") is not None
