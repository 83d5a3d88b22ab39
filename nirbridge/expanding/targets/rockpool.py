"""Rockpool: its importer cannot build a neuron without a synapse."""

from nirbridge.expanding.target import Target

TARGET = Target(
    name="rockpool",
    version="Rockpool 3.1.0",
    source="rockpool/nn/modules/torch/nir.py",
    refused=(
        "Rockpool 3.1.0 reads tau_mem from a LIF, which has none, takes no IF, Conv2d or Flatten, and resets a CubaLIF "
        "by subtraction with dt = tau_mem/(1 + R) and a decay of exp(-dt/tau), which no binary neuron of ours is"
    ),
)
