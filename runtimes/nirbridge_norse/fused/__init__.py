"""Neuron passes for the CPU that numba compiles; without numba the runtime steps with torch, slower and equal."""

from __future__ import annotations

from importlib.util import find_spec


def numba_is_there() -> bool:
    """Whether the fused passes can be compiled here."""
    return find_spec("numba") is not None
