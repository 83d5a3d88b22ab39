"""An energy estimate as plain data and as text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from nirbridge.costing.text import energy_text, number, ratio_text
from nirbridge.reports import counted, printable, table

_NUMBERS = ("rate", "events", "values", "operations", "pJ", "ANN pJ", "ANN/SNN")


@dataclass(frozen=True)
class LayerEnergy:
    """One layer; all numbers are means of one inference of one sample.

    Attributes:
        layer: name of the node: synapses, or a neuron or mixing that no synapses stand before.
        type: its primitive.
        neurons: the neurons whose membranes are counted here.
        input: "events", "analog" (charged as a dense layer), or "none" for a row without synapses.
        macs: multiply-accumulates of this layer in the ANN.
        rate: inputs other than 0, over all steps, for each input neuron; ``None`` for a row without synapses.
        events: inputs other than 0, over all steps.
        values: the same, a multi-level event counting its level.
        operations: additions and multiply-accumulates that are charged.
        pj: energy in pJ.
        ann_pj: energy of the layer in the ANN, in pJ.
        counts: operations and memory accesses by kind.
        parts: energy by kind, in pJ; it sums to ``pj``.
    """

    layer: str
    type: str
    neurons: tuple[str, ...]
    input: str
    macs: int
    rate: float | None
    events: float
    values: float
    operations: float
    pj: float
    ann_pj: float
    counts: Mapping[str, float]
    parts: Mapping[str, float]

    @property
    def ratio(self) -> float | None:
        """How many times the energy of the layer the ANN takes; ``None`` where the layer takes none."""
        return self.ann_pj / self.pj if self.pj else None

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        data = asdict(self) | {"ratio": self.ratio}
        return data | {"neurons": list(self.neurons), "counts": dict(self.counts), "parts": dict(self.parts)}


@dataclass(frozen=True)
class EnergyReport:
    """The energy of one inference, and that of the ANN with the same synapses.

    Attributes:
        model: "m-lif", "one-spike" or "memory".
        bits: width of the numbers.
        runtime: the runtime that recorded the activity.
        samples: samples that the means are taken over.
        inferences: inferences in each sample.
        steps: steps of graph input in one inference.
        layers: in the order of execution.
        not_counted: nodes that cost nothing in this model, and why.
        assumptions: what was assumed about these data.
    """

    model: str
    bits: int
    runtime: str
    samples: int
    inferences: int
    steps: int
    layers: tuple[LayerEnergy, ...]
    not_counted: Mapping[str, str]
    assumptions: tuple[str, ...]

    def __getitem__(self, layer: str) -> LayerEnergy:
        """The row of a layer."""
        return {row.layer: row for row in self.layers}[layer]

    @property
    def pj(self) -> float:
        """Energy of one inference, in pJ."""
        return sum(row.pj for row in self.layers)

    @property
    def ann_pj(self) -> float:
        """Energy of one inference of the ANN, in pJ."""
        return sum(row.ann_pj for row in self.layers)

    @property
    def ratio(self) -> float | None:
        """How many times the energy the ANN takes; ``None`` where the network takes none."""
        return self.ann_pj / self.pj if self.pj else None

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the ANN."""
        return sum(row.macs for row in self.layers)

    @property
    def operations(self) -> float:
        """Operations that are charged."""
        return sum(row.operations for row in self.layers)

    @property
    def events(self) -> float:
        """Inputs other than 0 of all layers."""
        return sum(row.events for row in self.layers)

    @property
    def values(self) -> float:
        """Levels of all these events."""
        return sum(row.values for row in self.layers)

    def table(self) -> str:
        """One row a layer and the total, the sum in words, what was assumed and what is not counted, as text."""
        rows: list[tuple[str, ...]] = [
            (
                row.layer,
                row.type,
                row.input,
                "-" if row.rate is None else f"{row.rate:.4f}",
                number(row.events),
                number(row.values),
                number(row.operations),
                number(row.pj),
                number(row.ann_pj),
                ratio_text(row.ratio),
            )
            for row in self.layers
        ]
        total = [number(v) for v in (self.events, self.values, self.operations, self.pj, self.ann_pj)]
        rows.append(("total", "", "", "", *total, ratio_text(self.ratio)))
        lines = [
            table(("layer", "type", "input", *_NUMBERS), rows, right=_NUMBERS),
            "",
            f"model '{self.model}', {self.bits} bits: {energy_text(self.pj)} an inference, the ANN with the same "
            f"synapses {energy_text(self.ann_pj)}; mean of {counted(self.samples, 'sample')} of "
            f"{counted(self.inferences, 'inference')} with {counted(self.steps, 'step')}, recorded on "
            f"'{self.runtime}'",
            *self.assumptions,
            *(f"not counted: {name}: {reason}" for name, reason in self.not_counted.items()),
        ]
        return "\n".join((lines[0], *map(printable, lines[1:])))

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        totals = ("pj", "ann_pj", "ratio", "macs", "operations", "events", "values")
        return {
            "model": self.model,
            "bits": self.bits,
            "runtime": self.runtime,
            "samples": self.samples,
            "inferences": self.inferences,
            "steps": self.steps,
            "total": {name: getattr(self, name) for name in totals},
            "layers": [row.to_dict() for row in self.layers],
            "not_counted": dict(self.not_counted),
            "assumptions": list(self.assumptions),
        }
