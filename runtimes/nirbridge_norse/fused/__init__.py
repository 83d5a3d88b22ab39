"""Neuron passes that numba compiles for the CPU, and Triton for CUDA; without, torch steps, slower and equal."""
