"""What another platform's importer of NIR takes, as data."""

from __future__ import annotations

from dataclasses import dataclass

import nir
import numpy as np

from nirbridge.expanding.fragment import Array


@dataclass(frozen=True)
class Lanes:
    """A multi-level neuron's spikes; arrays have 1 for each axis along which all neurons of the node are alike.

    Attributes:
        threshold: of each lane (S, *shape), ascending; None where the membrane itself is sent.
        weight: the value that each sends, likewise.
        reset: what each takes off the membrane, likewise; None where it is set to ``v_reset``.
        v_reset: where a spike sets the membrane, (*shape).
        closed: whether a membrane that meets a threshold fires.
    """

    threshold: Array | None
    weight: Array
    reset: Array | None
    v_reset: Array
    closed: bool


SENDS_MEMBRANE = Lanes(None, np.zeros((0, 1)), None, np.zeros(1), False)
"""Of an LI or I, which has no lanes."""


@dataclass(frozen=True)
class Target:
    """One platform: what its importer really does with a file, read from its source.

    Attributes:
        name: as ``--for`` takes it.
        version: the platform and its version.
        source: the file of its importer.
        layers: the node types that it takes as they are meant.
        dt: seconds per step that it reckons with.
        gain: what it takes R of a LIF for, whatever the file says: "one" is 1, "tau/dt" adds the input whole, and so
            does "tau/dt - 1", which dt is reckoned from.
        closed: whether a membrane that meets its threshold fires: thresholds are the next number above, then.
        double: whether the file holds double precision; else single, as torch holds parameters.
        takes_if: whether an IF of R = 1 is run as one.
        even: whether all neurons of a node need the same parameters.
        cycles: whether edges that close a cycle carry the value of the step before.
        levels_by_code: whether multi-level neurons are one LIF in the file and a spike function in the code.
        analog: whether values other than spikes travel between nodes.
        memoryless: tau of a LIF without memory in steps.
        writes_v_reset: whether its version of NIR knows the field.
        code: the program that runs the file, with places that ``lane_code`` fills; empty where there is none.
        ran: whether our tests ran the platform itself.
        refused: why no file helps; empty where one does.
    """

    name: str
    version: str
    source: str
    layers: frozenset[type[nir.NIRNode]] = frozenset()
    dt: float = 1.0
    gain: str = "tau/dt"
    closed: bool = False
    double: bool = False
    takes_if: bool = False
    even: bool = False
    cycles: bool = True
    levels_by_code: bool = False
    analog: bool = True
    memoryless: float = 1.0
    writes_v_reset: bool = True
    code: str = ""
    ran: bool = False
    refused: str = ""
