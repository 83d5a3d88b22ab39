"""Compiled passes over all steps of a neuron; written by ``python -m nirbridge_norse.fused.generating``.

Each takes ``data`` and ``out`` [T, N], inputs and outputs, which may be the same memory; the states [N], the parameters
[P] and ``chunks`` (first neuron, neuron after the last, first parameter, group): small enough that a chunk stays in the
first-level cache over all T steps.  Loops index slices from 0: with an offset in the index numba gives up SIMD, and
likewise where it writes what it may read again, hence the buffer.  Without fused multiply-add or other shortcuts the
bits are those of the primitive's step, also where it divides by 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nirbridge.machine_code import loop
from nirbridge_norse.fused.layout import CHUNK

Array = np.ndarray[Any, Any]
Arrays = tuple[Array, ...]


@loop
def run_i(data: Array, out: Array, state: Arrays, parameters: Arrays, chunks: Array) -> None:
    """v += R x, per step; the output is v."""
    buffer = np.empty(CHUNK, data.dtype)
    for c in range(chunks.shape[0]):
        first, last, offset = chunks[c, 0], chunks[c, 1], chunks[c, 2]
        size = last - first
        v_ = state[0][first:last]
        r_ = parameters[0][offset : offset + size]
        for t in range(data.shape[0]):
            row, sent = data[t, first:last], out[t, first:last]
            for n in range(size):
                x = row[n]
                v = v_[n]
                r = r_[n]
                v = v + (r * x)
                buffer[n] = v
                v_[n] = v
            for n in range(size):
                sent[n] = buffer[n]


@loop
def run_if(data: Array, out: Array, state: Arrays, parameters: Arrays, chunks: Array) -> None:
    """v += R x; a spike where v > v_threshold, then v = v_reset."""
    constant1 = data.dtype.type(1)
    constant2 = data.dtype.type(0)
    buffer = np.empty(CHUNK, data.dtype)
    for c in range(chunks.shape[0]):
        first, last, offset = chunks[c, 0], chunks[c, 1], chunks[c, 2]
        size = last - first
        v_ = state[0][first:last]
        r_ = parameters[0][offset : offset + size]
        v_threshold_ = parameters[1][offset : offset + size]
        v_reset_ = parameters[2][offset : offset + size]
        for t in range(data.shape[0]):
            row, sent = data[t, first:last], out[t, first:last]
            for n in range(size):
                x = row[n]
                v = v_[n]
                r = r_[n]
                v_threshold = v_threshold_[n]
                v_reset = v_reset_[n]
                v = v + (r * x)
                s = v > v_threshold
                buffer[n] = constant1 if s else constant2
                v_[n] = v_reset if s else v
            for n in range(size):
                sent[n] = buffer[n]


@loop
def run_if_subtracting(data: Array, out: Array, state: Arrays, parameters: Arrays, chunks: Array) -> None:
    """The same; a spike takes ``amount`` off the membrane."""
    constant1 = data.dtype.type(1)
    constant2 = data.dtype.type(0)
    buffer = np.empty(CHUNK, data.dtype)
    for c in range(chunks.shape[0]):
        first, last, offset = chunks[c, 0], chunks[c, 1], chunks[c, 2]
        size = last - first
        v_ = state[0][first:last]
        r_ = parameters[0][offset : offset + size]
        v_threshold_ = parameters[1][offset : offset + size]
        amount_ = parameters[2][offset : offset + size]
        for t in range(data.shape[0]):
            row, sent = data[t, first:last], out[t, first:last]
            for n in range(size):
                x = row[n]
                v = v_[n]
                r = r_[n]
                v_threshold = v_threshold_[n]
                amount = amount_[n]
                v = v + (r * x)
                s = v > v_threshold
                either1 = v - amount
                buffer[n] = constant1 if s else constant2
                v_[n] = either1 if s else v
            for n in range(size):
                sent[n] = buffer[n]


@loop
def run_li(data: Array, out: Array, state: Arrays, parameters: Arrays, chunks: Array) -> None:
    """v += dt/tau (v_leak - v + R x); the output is v."""
    buffer = np.empty(CHUNK, data.dtype)
    for c in range(chunks.shape[0]):
        first, last, offset = chunks[c, 0], chunks[c, 1], chunks[c, 2]
        size = last - first
        v_ = state[0][first:last]
        dt_over_tau_ = parameters[0][offset : offset + size]
        v_leak_ = parameters[1][offset : offset + size]
        r_ = parameters[2][offset : offset + size]
        for t in range(data.shape[0]):
            row, sent = data[t, first:last], out[t, first:last]
            for n in range(size):
                x = row[n]
                v = v_[n]
                dt_over_tau = dt_over_tau_[n]
                v_leak = v_leak_[n]
                r = r_[n]
                v = v + (dt_over_tau * ((v_leak - v) + (r * x)))
                buffer[n] = v
                v_[n] = v
            for n in range(size):
                sent[n] = buffer[n]


@loop
def run_lif(data: Array, out: Array, state: Arrays, parameters: Arrays, chunks: Array) -> None:
    """v += dt/tau (v_leak - v + R x); a spike where v > v_threshold, then v = v_reset."""
    constant1 = data.dtype.type(1)
    constant2 = data.dtype.type(0)
    buffer = np.empty(CHUNK, data.dtype)
    for c in range(chunks.shape[0]):
        first, last, offset = chunks[c, 0], chunks[c, 1], chunks[c, 2]
        size = last - first
        v_ = state[0][first:last]
        dt_over_tau_ = parameters[0][offset : offset + size]
        v_leak_ = parameters[1][offset : offset + size]
        r_ = parameters[2][offset : offset + size]
        v_threshold_ = parameters[3][offset : offset + size]
        v_reset_ = parameters[4][offset : offset + size]
        for t in range(data.shape[0]):
            row, sent = data[t, first:last], out[t, first:last]
            for n in range(size):
                x = row[n]
                v = v_[n]
                dt_over_tau = dt_over_tau_[n]
                v_leak = v_leak_[n]
                r = r_[n]
                v_threshold = v_threshold_[n]
                v_reset = v_reset_[n]
                v = v + (dt_over_tau * ((v_leak - v) + (r * x)))
                s = v > v_threshold
                buffer[n] = constant1 if s else constant2
                v_[n] = v_reset if s else v
            for n in range(size):
                sent[n] = buffer[n]


@loop
def run_lif_subtracting(data: Array, out: Array, state: Arrays, parameters: Arrays, chunks: Array) -> None:
    """The same; a spike takes ``amount`` off the membrane."""
    constant1 = data.dtype.type(1)
    constant2 = data.dtype.type(0)
    buffer = np.empty(CHUNK, data.dtype)
    for c in range(chunks.shape[0]):
        first, last, offset = chunks[c, 0], chunks[c, 1], chunks[c, 2]
        size = last - first
        v_ = state[0][first:last]
        dt_over_tau_ = parameters[0][offset : offset + size]
        v_leak_ = parameters[1][offset : offset + size]
        r_ = parameters[2][offset : offset + size]
        v_threshold_ = parameters[3][offset : offset + size]
        amount_ = parameters[4][offset : offset + size]
        for t in range(data.shape[0]):
            row, sent = data[t, first:last], out[t, first:last]
            for n in range(size):
                x = row[n]
                v = v_[n]
                dt_over_tau = dt_over_tau_[n]
                v_leak = v_leak_[n]
                r = r_[n]
                v_threshold = v_threshold_[n]
                amount = amount_[n]
                v = v + (dt_over_tau * ((v_leak - v) + (r * x)))
                s = v > v_threshold
                either1 = v - amount
                buffer[n] = constant1 if s else constant2
                v_[n] = either1 if s else v
            for n in range(size):
                sent[n] = buffer[n]


@loop
def run_cuba_li(data: Array, out: Array, state: Arrays, parameters: Arrays, chunks: Array) -> None:
    """i += dt/tau_syn (w_in x - i), then v += dt/tau_mem (v_leak - v + R i); the output is v."""
    buffer = np.empty(CHUNK, data.dtype)
    for c in range(chunks.shape[0]):
        first, last, offset = chunks[c, 0], chunks[c, 1], chunks[c, 2]
        size = last - first
        i_ = state[0][first:last]
        v_ = state[1][first:last]
        dt_over_tau_syn_ = parameters[0][offset : offset + size]
        w_in_ = parameters[1][offset : offset + size]
        dt_over_tau_mem_ = parameters[2][offset : offset + size]
        v_leak_ = parameters[3][offset : offset + size]
        r_ = parameters[4][offset : offset + size]
        for t in range(data.shape[0]):
            row, sent = data[t, first:last], out[t, first:last]
            for n in range(size):
                x = row[n]
                i = i_[n]
                v = v_[n]
                dt_over_tau_syn = dt_over_tau_syn_[n]
                w_in = w_in_[n]
                dt_over_tau_mem = dt_over_tau_mem_[n]
                v_leak = v_leak_[n]
                r = r_[n]
                i = i + (dt_over_tau_syn * ((w_in * x) - i))
                v = v + (dt_over_tau_mem * ((v_leak - v) + (r * i)))
                buffer[n] = v
                i_[n] = i
                v_[n] = v
            for n in range(size):
                sent[n] = buffer[n]


@loop
def run_cuba_lif(data: Array, out: Array, state: Arrays, parameters: Arrays, chunks: Array) -> None:
    """i += dt/tau_syn (w_in x - i), then v += dt/tau_mem (v_leak - v + R i); above v_threshold a spike, v = v_reset."""
    constant1 = data.dtype.type(1)
    constant2 = data.dtype.type(0)
    buffer = np.empty(CHUNK, data.dtype)
    for c in range(chunks.shape[0]):
        first, last, offset = chunks[c, 0], chunks[c, 1], chunks[c, 2]
        size = last - first
        i_ = state[0][first:last]
        v_ = state[1][first:last]
        dt_over_tau_syn_ = parameters[0][offset : offset + size]
        w_in_ = parameters[1][offset : offset + size]
        dt_over_tau_mem_ = parameters[2][offset : offset + size]
        v_leak_ = parameters[3][offset : offset + size]
        r_ = parameters[4][offset : offset + size]
        v_threshold_ = parameters[5][offset : offset + size]
        v_reset_ = parameters[6][offset : offset + size]
        for t in range(data.shape[0]):
            row, sent = data[t, first:last], out[t, first:last]
            for n in range(size):
                x = row[n]
                i = i_[n]
                v = v_[n]
                dt_over_tau_syn = dt_over_tau_syn_[n]
                w_in = w_in_[n]
                dt_over_tau_mem = dt_over_tau_mem_[n]
                v_leak = v_leak_[n]
                r = r_[n]
                v_threshold = v_threshold_[n]
                v_reset = v_reset_[n]
                i = i + (dt_over_tau_syn * ((w_in * x) - i))
                v = v + (dt_over_tau_mem * ((v_leak - v) + (r * i)))
                s = v > v_threshold
                buffer[n] = constant1 if s else constant2
                i_[n] = i
                v_[n] = v_reset if s else v
            for n in range(size):
                sent[n] = buffer[n]


@loop
def run_cuba_lif_subtracting(data: Array, out: Array, state: Arrays, parameters: Arrays, chunks: Array) -> None:
    """The same; a spike takes ``amount`` off the membrane."""
    constant1 = data.dtype.type(1)
    constant2 = data.dtype.type(0)
    buffer = np.empty(CHUNK, data.dtype)
    for c in range(chunks.shape[0]):
        first, last, offset = chunks[c, 0], chunks[c, 1], chunks[c, 2]
        size = last - first
        i_ = state[0][first:last]
        v_ = state[1][first:last]
        dt_over_tau_syn_ = parameters[0][offset : offset + size]
        w_in_ = parameters[1][offset : offset + size]
        dt_over_tau_mem_ = parameters[2][offset : offset + size]
        v_leak_ = parameters[3][offset : offset + size]
        r_ = parameters[4][offset : offset + size]
        v_threshold_ = parameters[5][offset : offset + size]
        amount_ = parameters[6][offset : offset + size]
        for t in range(data.shape[0]):
            row, sent = data[t, first:last], out[t, first:last]
            for n in range(size):
                x = row[n]
                i = i_[n]
                v = v_[n]
                dt_over_tau_syn = dt_over_tau_syn_[n]
                w_in = w_in_[n]
                dt_over_tau_mem = dt_over_tau_mem_[n]
                v_leak = v_leak_[n]
                r = r_[n]
                v_threshold = v_threshold_[n]
                amount = amount_[n]
                i = i + (dt_over_tau_syn * ((w_in * x) - i))
                v = v + (dt_over_tau_mem * ((v_leak - v) + (r * i)))
                s = v > v_threshold
                either1 = v - amount
                buffer[n] = constant1 if s else constant2
                i_[n] = i
                v_[n] = either1 if s else v
            for n in range(size):
                sent[n] = buffer[n]
