"""What calibration data decide about a one-spike network: codes, ranges, weights on a grid, and biases."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from nirbridge.converting.analog import AnalogGraph
from nirbridge.converting.bases import input_base
from nirbridge.converting.calibration_data import constant_inputs
from nirbridge.converting.coding import Code
from nirbridge.converting.correcting import corrected, fitting
from nirbridge.converting.emit import Emission, emit
from nirbridge.converting.markers import Array, Relu
from nirbridge.converting.observing import Progress
from nirbridge.converting.ranges import ERROR, PAPER
from nirbridge.converting.refitting import FEWEST_SAMPLES
from nirbridge.converting.rounding import rounded_weights
from nirbridge.converting.settings import Settings
from nirbridge.primitives.phase_base import digits

_AT_A_TIME = 2**14
"""Values that are coded at once: all of their spikes are held."""


@dataclass(frozen=True)
class Calibration:
    """A network with the codes of its spikes.

    Attributes:
        graph: the arranged network.
        settings: the options.
        codes: of every ReLU.
        scales: λ of every ReLU.
        data: calibration samples [N, *shape].
        transform: samples → what the network takes.
        offset: that of a sample of zeros.
    """

    graph: AnalogGraph
    settings: Settings
    codes: dict[str, Code]
    scales: dict[str, Array]
    data: Array
    transform: Callable[[Array], Array]
    offset: Array

    @cached_property
    def input_scale(self) -> float:
        """The input that 1.0 in its code stands for."""
        return self.settings.input_scale or float(np.abs(self.data.astype(np.float64)).max())

    @cached_property
    def input_base(self) -> float:
        """Q of the code of the input."""
        return input_base(self.graph, self.codes)

    def emitted(self, graph: AnalogGraph) -> Emission:
        """The spiking graph of ``graph``, which has other weights and biases than the network's own."""
        return emit(
            Emission(
                graph=graph,
                settings=self.settings,
                codes=self.codes,
                scales=self.scales,
                constants=constant_inputs(graph, self.offset),
                input_scale=np.asarray(self.input_scale),
                input_base=self.input_base,
                signed=float(self.data.min()) < 0,
            )
        )

    def coded(self, inputs: list[Tensor], progress: Progress) -> AnalogGraph:
        """The network with the weights and biases of the spiking one.

        Args:
            inputs: the samples as the network takes them, in batches.
            progress: is told what is being done.
        """
        settings, coded, dtype = self.settings, self.graph, inputs[0].dtype
        if settings.weight_bits is not None:
            entering = self.emitted(coded).entering
            if settings.calibrate == ERROR and len(self.data) >= FEWEST_SAMPLES:  # fitted first, then on the grid
                fitted = self._corrected(coded, dtype, progress)
                coded = coded.changed({name: node for name, node in fitted.nodes.items() if type(node) is not Relu})
            coded = rounded_weights(coded, inputs, settings.weight_bits, settings.weight_rounding, entering)
        return coded if settings.calibrate == PAPER else self._corrected(coded, dtype, progress)

    def _corrected(self, coded: AnalogGraph, dtype: torch.dtype, progress: Progress) -> AnalogGraph:
        """See :func:`corrected`; on as many samples, spread over the data, as fit into memory."""
        count = fitting(self.graph, len(self.data))
        samples = self.data[np.linspace(0, len(self.data) - 1, count).round().astype(int)].astype(np.float64)
        levels = Code(self.input_base, self.settings.phases).levels
        step = max(1, _AT_A_TIME // samples[0].size)
        parts = (np.abs(samples[start : start + step]) / self.input_scale for start in range(0, count, step))
        sent = np.sign(samples) * np.concatenate([_decoded(part, levels) * self.input_scale for part in parts])
        whole, carried = (torch.as_tensor(self.transform(x)).to(dtype) for x in (samples, sent))
        fit = self.settings.calibrate == ERROR
        return corrected(self.graph, coded, self.codes, self.scales, whole, carried, fit, progress)


def _decoded(parts: Array, levels: Array) -> Array:
    """What the digits of a value stand for."""
    sent, _ = digits(parts, levels.tolist())
    found: Array = sum(fires * level for fires, level in zip(sent, levels, strict=True))
    return found
