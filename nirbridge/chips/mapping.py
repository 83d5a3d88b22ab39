"""Layers on cores: the fewest cores on which every limit of a core holds."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, prod

from nirbridge.chips.layers import Layer, Path
from nirbridge.chips.limits import Chip

WORD = 64
"""Bits of a word of synapse memory; a list of synapses begins with one word and fills whole words: an estimate."""
_MOST_CORES = 2**16


@dataclass(frozen=True)
class Load:
    """What the fullest core of a layer holds.

    Attributes:
        cores: over which the layer is spread.
        neurons: on one core.
        synapse_bits: memory of its synapses, and of neurons where they share it.
        in_axons: sources whose messages it receives.
    """

    cores: int
    neurons: int
    synapse_bits: int
    in_axons: int


def load(layer: Layer, cores: int, chip: Chip, weight_bits: int) -> Load:
    """The layer in ``cores`` parts of equal size; image-like layers are cut into rows."""
    neurons = ceil(layer.neurons / cores)
    axons = [_in_axons(layer, path, cores) for path in layer.paths]
    kept = chip.state_bits_per_neuron.value * ceil(layer.states / 2)
    bits = sum(
        _synapse_bits(path, neurons, count, chip, weight_bits) for path, count in zip(layer.paths, axons, strict=True)
    )
    return Load(cores, neurons, bits + neurons * kept, sum(axons))


def fewest_cores(layer: Layer, chip: Chip) -> tuple[Load, list[str]]:
    """The smallest spread in which each core fits, and the limits that decided it; more cores than neurons never help.

    Where no spread fits, the load of one neuron a core and the limits that it still breaks.
    """
    decided: list[str] = []
    widest = chip.weight_bits.value
    weight_bits = min(layer.weights.bits(chip) or widest, widest)
    most = min(layer.neurons, _MOST_CORES)
    cores = 1
    while True:
        found = load(layer, cores, chip, weight_bits)
        broken = broken_limits(found, chip)
        if not broken:
            return found, decided
        decided = list(broken)
        if cores >= most:
            return found, decided
        cores = min(most, max(cores + 1, ceil(cores * 1.02)))


def broken_limits(found: Load, chip: Chip) -> dict[str, int]:
    """The limits of a core that a load exceeds, by name, and what it takes."""
    taken = {
        "neurons_per_core": found.neurons,
        "synapse_bits_per_core": found.synapse_bits,
        "in_axons_per_core": found.in_axons,
    }
    return {name: value for name, value in taken.items() if value > getattr(chip, name).value}


def _in_axons(layer: Layer, path: Path, cores: int) -> int:
    """Sources that one core hears: the rows that its own rows see, or, without rows, all."""
    sources = prod(path.source_shape)
    shape = layer.planned.output_shape
    if path.reach is None or len(path.source_shape) != 3 or len(shape) != 3:
        return min(sources, ceil(layer.neurons / cores) * path.fan_in)
    rows = ceil(shape[1] / cores)
    seen = min(path.source_shape[1], path.reach.rows + (rows - 1) * path.reach.stride)
    return path.source_shape[0] * seen * path.source_shape[2]


def _synapse_bits(path: Path, neurons: int, axons: int, chip: Chip, weight_bits: int) -> int:
    """Lists of synapses, one for each source, in whole words behind a word of header."""
    if chip.shared_kernels and path.kernel is not None:
        return path.kernel * weight_bits + axons * WORD
    if path.delay:
        weight_bits += chip.delay_steps.value.bit_length()
    synapses = neurons * path.fan_in
    per_source = ceil(synapses / max(axons, 1))
    return axons * WORD * (1 + ceil(per_source * weight_bits / WORD))
