"""What quantising did, layer by layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from nirbridge.primitives.spec import Array
from nirbridge.reports import count_text, counted, table

_HEADERS = ("node", "type", "scale", "bits", "weight error", "cut", "threshold error", "decay error", "state bits")


@dataclass
class LayerReport:
    """One node of the quantised graph.

    Attributes:
        node: its name.
        type: its primitive.
        scale: what the integer 1 stands for in what a synapse sends, or in a neuron's state; the least of its channels.
        weight_bits: bits that the weights were given, None for a neuron.
        weight_error: root mean square of the rounding, relative to that of the weights.
        largest_weight_error: largest rounding of a weight, in its own unit.
        channels: output channels of a matrix or convolution, whose weights are not all 0; 0 for anything else.
        channels_lost: those that one step for the layer changes by more than a quarter, though the layer as a whole by
            less than a sixteenth: their weights are small beside those of others.
        coarser: bits by which its steps are coarser than ``weight_bits`` would have them, so that states fit 24 bits.
        weights_cut: weights beyond the range of their bits, which were cut to its end.
        threshold_error: largest relative change of a threshold or reset, None for a synapse.
        decay_error: largest change of a decay factor.
        shift: bits by which the state is finer than what enters.
        state_bits: bits that the state, with its sign, took on the calibration data; None without data.
        states_saturated: states that met the end of their 24 bits on the calibration data.
    """

    node: str
    type: str
    scale: float
    weight_bits: int | None = None
    weight_error: float = 0.0
    largest_weight_error: float = 0.0
    channels: int = 0
    channels_lost: int = 0
    coarser: int = 0
    weights_cut: int = 0
    threshold_error: float | None = None
    decay_error: float = 0.0
    shift: int = 0
    state_bits: int | None = None
    states_saturated: int = 0


@dataclass
class QuantizeReport:
    """The whole graph.

    Attributes:
        weight_bits: bits of a weight.
        dt: seconds per step for which time constants were turned into decays.
        layers: synapses and neurons in execution order.
        input_scale: for each input, what the integer 1 stands for.
        output_scale: for each output, what the integer 1 stands for that reaches it.  A graph that takes data gives
            scores, since a Scale before the output holds it; one that takes integers gives scores / output_scale.
        calibrated: whether data were given.
        input_limit: the largest integer that an input may bring, with either sign.
        per: what was asked to have a weight step of its own, "layer" or "channel".
        notes: layers that have one step where every channel should have its own, and why; and :attr:`warnings`.
    """

    weight_bits: int
    dt: float
    layers: list[LayerReport] = field(default_factory=list)
    input_scale: dict[str, float] = field(default_factory=dict)
    output_scale: dict[str, Array] = field(default_factory=dict)
    calibrated: bool = False
    input_limit: int = 0
    per: str = "layer"
    notes: list[str] = field(default_factory=list)

    def to_integers(self, x: Any, name: str | None = None) -> Any:
        """Data for the float graph as data for one that was quantised with ``input="integers"``: round(x / step).

        Args:
            x: an array for the only input or for ``name``, or a dictionary by input name.
            name: the input.
        """
        if isinstance(x, Mapping):
            return {key: self.to_integers(value, key) for key, value in x.items()}
        return np.rint(np.asarray(x) / self.input_scale[name or next(iter(self.input_scale))])

    @property
    def warnings(self) -> list[str]:
        """What the rounding loses more of than its bits say: :attr:`lost` and :attr:`coarse`."""
        return [text for text in (self.lost, self.coarse) if text]

    @property
    def coarse(self) -> str | None:
        """What it costs that states have 24 bits, where that is a quarter of a layer's weights or more, else None."""
        found = [layer for layer in self.layers if layer.coarser and 4 * layer.weight_error >= 1]
        if not found:
            return None
        worst = max(found, key=lambda layer: layer.weight_error)
        return (
            f"rounding changes {counted(len(found), 'layer')} by a quarter or more, {worst.type} '{worst.node}' by "
            f"{worst.weight_error:.0%}: with finer steps states behind would leave 24 bits; larger gains, a longer dt, "
            "smaller thresholds or biases, or data without outliers leave more room"
        )

    @property
    def lost(self) -> str | None:
        """What one step for a layer costs where it loses a quarter of the channels or more; None where none does."""
        found = [layer for layer in self.layers if 4 * layer.channels_lost >= max(layer.channels, 1)]
        if not found or self.per == "channel":
            return None
        worst = max(found, key=lambda layer: layer.channels_lost / layer.channels)
        return (
            f"one step for all weights of a layer changes many channels by more than a quarter in "
            f"{counted(len(found), 'layer')}, as "
            f"{worst.channels_lost} of {worst.channels} of {worst.type} '{worst.node}': their weights are small beside "
            "those of others; per='channel' (--per channel) gives each channel a step of its own"
        )

    def table(self) -> str:
        """One row for each layer."""
        return table(_HEADERS, [_row(layer) for layer in self.layers], right=_HEADERS[2:])

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "weight_bits": self.weight_bits,
            "dt": self.dt,
            "per": self.per,
            "calibrated": self.calibrated,
            "input_scale": dict(self.input_scale),
            "input_limit": self.input_limit,
            "output_scale": {name: scale.tolist() for name, scale in self.output_scale.items()},
            "notes": list(self.notes),
            "layers": [asdict(layer) for layer in self.layers],
        }


def _row(layer: LayerReport) -> tuple[str, ...]:
    synapse = layer.weight_bits is not None
    state = "" if layer.state_bits is None else str(layer.state_bits)
    return (
        layer.node,
        layer.type,
        f"{layer.scale:.4g}",
        str(layer.weight_bits) if synapse else "",
        f"{layer.weight_error:.2%}" if synapse else "",
        count_text(layer.weights_cut) if synapse else "",
        "" if layer.threshold_error is None else f"{layer.threshold_error:.2%}",
        "" if synapse else f"{layer.decay_error:.2g}",
        f"{state} ({count_text(layer.states_saturated)} saturated)" if layer.states_saturated else state,
    )
