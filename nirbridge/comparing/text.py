"""A comparison as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nirbridge.reports import count_text, printable, table

if TYPE_CHECKING:
    from nirbridge.comparing.results import Comparison

_COUNTS = ("nonzero (reference)", "nonzero", "mismatches", "largest difference")


def to_table(found: Comparison) -> str:
    """One row for each node on each runtime."""
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
        for node in found.nodes
    ]
    return table(("node", "type", "runtime", *_COUNTS, "verdict"), rows, right=_COUNTS)


def to_verdicts(found: Comparison) -> list[str]:
    """The tolerance, one line for each runtime, whether no neuron fired, and what was not compared."""
    rule = "parameters and data are dyadic" if found.exact else "parameters or data are not dyadic"
    lines = [f"tolerance: {found.tolerance:g} of a node's spikes, {found.analog_tolerance:g} of analog values ({rule})"]
    for runtime in found.runtimes:
        bad = [node.node for node in found.nodes if node.runtime == runtime and not node.agrees]
        differing, spikes = found.differing_spikes(runtime)
        verdict = f"differs beyond the tolerance in {', '.join(bad)}" if bad else "agrees with the reference"
        counts = f"; {count_text(differing)} of {count_text(spikes)} spikes differ"
        lines.append(f"{runtime}: {verdict}{counts if any(node.spiking for node in found.nodes) else ''}")
    if found.silent:
        lines.append("WARNING: no neuron fired, so this says nothing about the neurons. Use data that make them fire")
    lines += [f"{runtime}: did not record {', '.join(names)}" for runtime, names in found.unrecorded.items()]
    lines += [f"{runtime}: skipped, {reason}" for runtime, reason in found.skipped.items()]
    return [printable(line) for line in lines]
