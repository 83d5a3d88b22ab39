"""What Loihi's cores hold, each number with the public source that states it."""

from __future__ import annotations

from dataclasses import dataclass

SOURCES = {
    "[D18]": 'Davies et al., "Loihi: A Neuromorphic Manycore Processor with On-Chip Learning", IEEE Micro 38(1), 2018',
    "[L2]": 'Intel Labs, "Taking Neuromorphic Computing to the Next Level with Loihi 2", technology brief, 2021',
    "[NL]": "nengo-loihi, constants of nengo_loihi/block.py (github.com/nengo/nengo-loihi)",
    "[LAVA]": "lava-nc, documentation of the fixed-point models of Dense and LIF (github.com/lava-nc/lava)",
}
KIBIBYTE = 8 * 1024
"""Bits."""


@dataclass(frozen=True)
class Limit:
    """One number and who states it.

    Attributes:
        value: in the unit of its name.
        source: the public source, as in SOURCES.
        estimate: whether the source leaves room for interpretation.
    """

    value: int
    source: str
    estimate: bool = False


@dataclass(frozen=True)
class Chip:
    """A chip as its limits.

    Attributes:
        name: as users type it.
        cores: neuromorphic cores on a chip.
        neurons_per_core: compartments that a core updates.
        synapse_bits_per_core: memory for synapses.
        in_axons_per_core: sources whose messages a core can receive.
        out_axons_per_core: (neuron, target core) pairs that a core can send to; None where no source states one.
        weight_bits: of a signed weight.
        message_bits: of what a spike carries, with its sign; 1 is a binary spike.
        state_bits: of a membrane or a current, with its sign.
        decay_bits: a decay is a multiple of 2^-decay_bits.
        state_bits_per_neuron: memory that a neuron takes from the synapses' memory, 0 where it has its own.
        shared_kernels: whether a convolution's kernel is stored once a core instead of once a synapse.
        programmable_neurons: whether neurons are programs, so that lanes and soft resets run.
    """

    name: str
    cores: Limit
    neurons_per_core: Limit
    synapse_bits_per_core: Limit
    in_axons_per_core: Limit
    out_axons_per_core: Limit | None
    weight_bits: Limit
    message_bits: Limit
    state_bits: Limit
    decay_bits: Limit
    state_bits_per_neuron: Limit
    shared_kernels: bool
    programmable_neurons: bool


LOIHI1 = Chip(
    name="loihi1",
    cores=Limit(128, "[D18]"),
    neurons_per_core=Limit(1024, "[D18]"),
    synapse_bits_per_core=Limit(128 * KIBIBYTE, "[NL]: 1,048,576 bits; [D18]: 16 MB on 128 cores"),
    in_axons_per_core=Limit(4096, "[NL]"),
    out_axons_per_core=Limit(4096, "[NL]"),
    weight_bits=Limit(8, "[LAVA]: num_weight_bits; [D18] has up to 9 with the sign"),
    message_bits=Limit(1, "[D18]"),
    state_bits=Limit(24, "[LAVA]"),
    decay_bits=Limit(12, "[LAVA]"),
    state_bits_per_neuron=Limit(0, "[D18]"),
    shared_kernels=False,
    programmable_neurons=False,
)
LOIHI2 = Chip(
    name="loihi2",
    cores=Limit(128, "[L2]"),
    neurons_per_core=Limit(8192, "[L2]"),
    synapse_bits_per_core=Limit(192 * KIBIBYTE, "[L2]: 192 KB a core, shared by synapses and neurons"),
    in_axons_per_core=Limit(4096, "[NL], for Loihi 1", estimate=True),
    out_axons_per_core=None,
    weight_bits=Limit(8, "[LAVA]"),
    message_bits=Limit(32, "[L2]"),
    state_bits=Limit(24, "[LAVA]"),
    decay_bits=Limit(12, "[LAVA]"),
    state_bits_per_neuron=Limit(64, "[L2]: the size follows from the neuron's program", estimate=True),
    shared_kernels=True,
    programmable_neurons=True,
)
CHIPS: dict[str, Chip] = {chip.name: chip for chip in (LOIHI1, LOIHI2)}
