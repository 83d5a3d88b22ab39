"""What a comparison finds, as plain data and as text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from math import isfinite
from typing import Any

from nirbridge.ir.registry import sends_spikes
from nirbridge.reports import count_text, printable, table

_COUNTS = ("nonzero (reference)", "nonzero", "mismatches", "largest difference")


@dataclass(frozen=True)
class NodeComparison:
    """One node on one runtime, against the reference.

    Attributes:
        node: its flat name.
        type: the primitive.
        runtime: the runtime that is compared.
        spiking: whether the node sends or hands on spikes, which are compared one by one; else its values are analog.
        values: how many numbers each of the two sent.
        reference_spikes: numbers other than 0 on the reference, spikes where it is ``spiking``.
        spikes: the same on this runtime.
        mismatches: numbers that differ: spikes whose value differs, analog values that differ by more than the
            tolerance before the first differing spike of their sample.
        largest_difference: the largest absolute difference, infinite where a value is not finite.
        allowed: how many mismatches the tolerance allows.
    """

    node: str
    type: str
    runtime: str
    spiking: bool
    values: int
    reference_spikes: int
    spikes: int
    mismatches: int
    largest_difference: float
    allowed: int

    @property
    def agrees(self) -> bool:
        """Whether the mismatches are within the tolerance."""
        return self.mismatches <= self.allowed

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON, which has no infinity; analog nodes have no spikes there."""
        data = asdict(self) | {"agrees": self.agrees}
        data |= {"reference_nonzero": self.reference_spikes, "nonzero": self.spikes}
        if not self.spiking:
            data |= {"reference_spikes": None, "spikes": None}
        return data | {"largest_difference": self.largest_difference if isfinite(self.largest_difference) else None}


@dataclass(frozen=True)
class Comparison:
    """All nodes on all runtimes.

    Attributes:
        runtimes: the runtimes that were compared with the reference.
        nodes: in the order of execution; for each node one entry a runtime.
        exact: whether all parameters and data are short dyadic numbers, so that not one spike may differ.
        tolerance: share of spikes that may differ.
        analog_tolerance: share of a node's largest value by which an analog value may differ.
        skipped: runtimes that were not compared, and why.
        unrecorded: for each runtime the nodes that it cannot record.
    """

    runtimes: tuple[str, ...]
    nodes: tuple[NodeComparison, ...]
    exact: bool
    tolerance: float
    analog_tolerance: float
    skipped: Mapping[str, str] = field(default_factory=dict)
    unrecorded: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def agrees(self) -> bool:
        """Whether every node agrees on every runtime."""
        return all(node.agrees for node in self.nodes)

    @property
    def silent(self) -> bool:
        """Whether the graph has spiking nodes and none of them sent a spike anywhere, so that nothing was tried."""
        spiking = [node for node in self.nodes if node.spiking]
        return bool(spiking) and not any(node.reference_spikes or node.spikes for node in spiking)

    def differing_spikes(self, runtime: str) -> tuple[int, int]:
        """Over all nodes of a runtime that spike themselves: spikes that differ, and the reference's spikes."""
        found = [node for node in self.nodes if node.runtime == runtime and sends_spikes(node.type)]
        return sum(node.mismatches for node in found), sum(node.reference_spikes for node in found)

    def table(self) -> str:
        """One row for each node on each runtime, as text."""
        rows = [
            (
                node.node,
                node.type,
                node.runtime,
                count_text(node.reference_spikes),
                count_text(node.spikes),
                count_text(node.mismatches),
                f"{node.largest_difference:.3g}",
                "agrees" if node.agrees else "DIFFERS",
            )
            for node in self.nodes
        ]
        return table(("node", "type", "runtime", *_COUNTS, "verdict"), rows, right=_COUNTS)

    def verdicts(self) -> list[str]:
        """The tolerance, one line for each runtime, whether no neuron fired, and what was not compared."""
        rule = "parameters and data are dyadic" if self.exact else "parameters or data are not dyadic"
        spiking = any(node.spiking for node in self.nodes)
        analog = f"{self.analog_tolerance:g} of analog values ({rule})"
        lines = [f"tolerance: {self.tolerance:g} of a node's spikes, {analog}" if spiking else f"tolerance: {analog}"]
        for runtime in self.runtimes:
            bad = [node.node for node in self.nodes if node.runtime == runtime and not node.agrees]
            differing, spikes = self.differing_spikes(runtime)
            verdict = f"differs beyond the tolerance in {', '.join(bad)}" if bad else "agrees with the reference"
            counts = f"; {count_text(differing)} of {count_text(spikes)} spikes differ" if spiking else ""
            lines.append(f"{runtime}: {verdict}{counts}")
        if self.silent:
            lines.append(
                "WARNING: no neuron fired, so this says nothing about the neurons. Use data that make them fire"
            )
        lines += [f"{runtime}: did not record {', '.join(names)}" for runtime, names in self.unrecorded.items()]
        lines += [f"{runtime}: skipped, {reason}" for runtime, reason in self.skipped.items()]
        return [printable(line) for line in lines]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "agrees": self.agrees,
            "silent": self.silent,
            "exact": self.exact,
            "tolerance": self.tolerance,
            "analog_tolerance": self.analog_tolerance,
            "runtimes": list(self.runtimes),
            "skipped": dict(self.skipped),
            "unrecorded": {runtime: list(names) for runtime, names in self.unrecorded.items()},
            "nodes": [node.to_dict() for node in self.nodes],
        }
