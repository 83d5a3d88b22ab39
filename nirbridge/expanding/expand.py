"""``nirbridge.expand``."""

from __future__ import annotations

import warnings

import nir

from nirbridge.errors import GraphWarning, InputError
from nirbridge.expanding.core import expand_with_notes
from nirbridge.expanding.reach import reach


def expand(
    graph: nir.NIRGraph,
    approximate: bool = False,
    *,
    exact_for: str = "any-steps",
    dt: float | None = None,
    target: str | None = None,
) -> nir.NIRGraph:
    """Replaces every extension primitive by core NIR that does the same, in the forms that ``target`` takes.

    Args:
        graph: the graph; nested graphs are flattened.
        approximate: replace also what has no exact counterpart, with a :class:`GraphWarning` for each such node.
        exact_for: which runs the result is exact for.  "any-steps": any number of steps; a neuron with soft reset
            becomes a cycle of Scale and Threshold nodes, one with hard reset an IF or LIF, or with several lanes two
            of them for each lane that take turns.
            "one-step": runs of one step from fresh states, where any neuron becomes Thresholds and differences.
            "substeps": every step becomes N steps, and a uniform neuron with N levels one binary IF; exact while its
            input is constant over the N steps and its membrane starts them within [0, q).  Run it with
            ``reset="subtract"``, on data from :func:`repeat_substeps`; :func:`join_substeps` adds the output up.
        dt: seconds per step, for a LIF in the place of a decay; by default the EventInput's window, else 1e-3.  Run
            the result with the same.

        target: a platform, of :func:`nirbridge.expanding.target_names`: the graph holds only what its importer takes,
            at the platform's dt; see :func:`nirbridge.expanding.reach` for the program that runs it there.

    Returns:
        A graph of core primitives alone: a plain NIR file when written.  Parameters are in double precision, for most
        targets in single.

    Raises:
        UnsupportedError: nodes that have no counterpart; the error lists each with its reason.
        GraphError: the graph is not valid.
        InputError: ``exact_for`` or ``target`` is unknown, they exclude each other, or dt is not positive.
    """
    if target is None:
        expanded, notes = expand_with_notes(graph, approximate, exact_for=exact_for, dt=dt)
    elif exact_for != "any-steps":
        raise InputError(
            "exact_for", f"is {exact_for!r}, and a target gets what is exact for any steps", "Leave it out"
        )
    else:
        reached = reach(graph, target, approximate, dt)
        expanded, notes = reached.graph, reached.notes
    for note in notes:
        warnings.warn(str(note), GraphWarning, stacklevel=2)
    return expanded
