"""What Loihi's cores hold, each number with the public source that states it.

A number that no public source states exactly is marked as an estimate, and reports say so.
"""

from __future__ import annotations

from dataclasses import dataclass

SOURCES = {
    "[D18]": 'Davies et al., "Loihi: A Neuromorphic Manycore Processor with On-Chip Learning", IEEE Micro 38(1), 2018; '
    "excerpts: gwern.net/doc/ai/scaling/hardware/2018-davies.pdf",
    "[CAS]": "IEEE Circuits and Systems Magazine, Q2 2022, page 21 "
    "(nxtbook.com/nxtbooks/ieee/circuitsandsystems_2022Q2)",
    "[NL]": "nengo-loihi, constants of nengo_loihi/block.py and checks of nengo_loihi/builder/validate.py "
    "(github.com/nengo/nengo-loihi)",
    "[TH]": '"Intel Reveals 4nm Loihi 2 Neuromorphic Research Chip", Tom\'s Hardware, October 2021 '
    "(quoted at geeks.fyi/printthread.php?tid=16221)",
    "[ON]": '"Loihi 2 - Intel", Open Neuromorphic '
    "(open-neuromorphic.org/neuromorphic-computing/hardware/loihi-2-intel)",
    "[LDL]": "lava-dl, issues 214 and 226: netx clips delays at 62 steps, for Loihi 2 (github.com/lava-nc/lava-dl)",
    "[LAVA]": "lava-nc 0.10, lava/proc/lif/models.py and lava/proc/dense/process.py (github.com/lava-nc/lava)",
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
        weight_exponent: largest power of two that the weights of a layer share on top of their bits.
        bias_bits: of a signed bias.
        bias_exponent: largest power of two that a bias may be shifted by on top of them.
        delay_steps: the longest delay of a message.
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
    weight_exponent: Limit
    bias_bits: Limit
    bias_exponent: Limit
    delay_steps: Limit
    message_bits: Limit
    state_bits: Limit
    decay_bits: Limit
    state_bits_per_neuron: Limit
    shared_kernels: bool
    programmable_neurons: bool


LOIHI1 = Chip(
    name="loihi1",
    cores=Limit(128, "[D18], [CAS]"),
    neurons_per_core=Limit(1024, "[NL]: MAX_COMPARTMENTS"),
    synapse_bits_per_core=Limit(128 * KIBIBYTE, "[NL]: MAX_SYNAPSE_BITS; [CAS]: 16 MB on 128 cores"),
    in_axons_per_core=Limit(4096, "[NL]: MAX_IN_AXONS"),
    out_axons_per_core=Limit(4096, "[NL]: MAX_OUT_AXONS"),
    weight_bits=Limit(8, "[NL]: WEIGHT_BITS_MAP; [LAVA]: num_weight_bits"),
    weight_exponent=Limit(7, "[NL]: validate_synapse_cfg"),
    bias_bits=Limit(13, "[LAVA]: bias_mant"),
    bias_exponent=Limit(7, "[LAVA]: bias_exp"),
    delay_steps=Limit(62, "[D18] has 6 bits, [LDL] clips at 62", estimate=True),
    message_bits=Limit(1, "[D18]: spikes are single bits"),
    state_bits=Limit(24, "[LAVA]: uv_bitwidth; [NL]: vmax"),
    decay_bits=Limit(12, "[LAVA]: decay_shift; [NL]: DECAY_SCALE_TH"),
    state_bits_per_neuron=Limit(0, "[NL]: compartments have a limit of their own"),
    shared_kernels=False,
    programmable_neurons=False,
)
LOIHI2 = Chip(
    name="loihi2",
    # Hala Point counts 140,544 on 1,152 chips: systems offer 122 of them, lifeboat.com/blog/?p=187742 quotes Intel.
    cores=Limit(128, "[TH], [ON]"),
    neurons_per_core=Limit(8192, "[ON]: a million on 128 cores"),
    synapse_bits_per_core=Limit(192 * KIBIBYTE, "[TH]: 192 KB a core, shared by synapses and neurons"),
    in_axons_per_core=Limit(4096, "[NL], for Loihi 1", estimate=True),
    out_axons_per_core=None,
    weight_bits=Limit(8, "[LAVA]: num_weight_bits; [ON] has up to 32", estimate=True),
    weight_exponent=Limit(7, "[NL], for Loihi 1", estimate=True),
    bias_bits=Limit(24, "[LAVA]: uv_bitwidth, of Loihi's fixed neuron", estimate=True),
    bias_exponent=Limit(0, "[LAVA]: uv_bitwidth, of Loihi's fixed neuron", estimate=True),
    delay_steps=Limit(62, "[LDL]"),
    message_bits=Limit(32, "[ON]: graded spikes"),
    state_bits=Limit(24, "[LAVA]: uv_bitwidth, of Loihi's fixed neuron", estimate=True),
    decay_bits=Limit(12, "[LAVA]: decay_shift, of Loihi's fixed neuron", estimate=True),
    state_bits_per_neuron=Limit(64, "[TH]: the neuron's program decides, up to 4096 states", estimate=True),
    shared_kernels=True,
    programmable_neurons=True,
)
CHIPS: dict[str, Chip] = {chip.name: chip for chip in (LOIHI1, LOIHI2)}
"""The chips that a graph can be mapped to, by name."""
