"""From what was recorded to the panels of a picture."""

from __future__ import annotations

from collections.abc import Sequence

from nirbridge.plotting.activity import Activity
from nirbridge.plotting.analog import analog_panel
from nirbridge.plotting.membrane import membrane_panel
from nirbridge.plotting.panel import Panel
from nirbridge.plotting.raster import raster_panel
from nirbridge.plotting.rates import rates_panel
from nirbridge.plotting.score import score_panel
from nirbridge.runtime import sends_spikes


def panels_of(activity: Activity, names: Sequence[str], neurons: Sequence[int] | None) -> list[Panel]:
    """A panel for each name in their order, then the rates, then the scores of every output that has classes."""
    found = [_recorded(activity, name, neurons) for name in names]
    more = [rates_panel(activity), *(score_panel(activity, name) for name in activity.plan.outputs)]
    return [*found, *(panel for panel in more if panel is not None)]


def _recorded(activity: Activity, name: str, neurons: Sequence[int] | None) -> Panel:
    if name not in activity.plan.names:
        return membrane_panel(activity, name, neurons)
    make = raster_panel if sends_spikes(activity.plan, name) else analog_panel
    return make(activity, name, neurons)
