"""The report of a conversion as a table, a line a layer."""

from __future__ import annotations

from nirbridge.converting.measuring import Report
from nirbridge.reports import table

_HEADERS = (
    *("layer", "neurons", "base", "own error", "accumulated", "clipped", "too small", "spikes", "silent"),
    "dead channels",
)


def layer_table(report: Report) -> str:
    """Errors in percent of the activations' power, shares in percent, spikes a neuron and window."""
    rows = [
        (
            layer.name,
            layer.neurons,
            f"{layer.base:g}",
            f"{layer.own_error:.2%}",
            f"{layer.error:.2%}",
            f"{layer.clipped:.2%}",
            f"{layer.below:.2%}",
            f"{layer.rate:.3f}",
            f"{layer.silent:.1%}",
            f"{layer.dead} of {layer.channels}",
        )
        for layer in report.layers
    ]
    return table(_HEADERS, rows, right=_HEADERS[1:])
