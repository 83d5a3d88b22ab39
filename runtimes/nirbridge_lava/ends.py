"""The inputs and outputs of an embedded network: names, shapes, and what integers they carry."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

import numpy as np

from nirbridge.errors import GraphWarning, InputError
from nirbridge.ir import Quantize
from nirbridge.runtime import Array, Plan
from nirbridge.runtime.host import hosted_nodes, hosted_units, loss_text, quantized
from nirbridge_lava.stages import Stage, out_area

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Ends:
    """What a program of the user's own has to know of a graph's ends.

    A port carries integers where the graph has a ``Quantize`` behind that input: round(x / step), cut to its low and
    high, which the host computes in a program of :func:`nirbridge.compile`.  Likewise a ``Scale`` right before an
    output of such a graph is the host's, so that its port gives whole numbers of that unit.

    Attributes:
        nodes: names of all nodes.
        inputs: the name of each input → that of the node that is its entrance.
        outputs: the name of each output → its shape.
        steps: the Quantize behind each input that has one, by the input's name.
        units: what the 1 of an output stands for, where that is not 1.
        limit: largest magnitude that an input may have in precision "fixed"; None in "float".
        widths: shape of each entrance.
    """

    nodes: tuple[str, ...]
    inputs: Mapping[str, str]
    outputs: Mapping[str, Shape]
    steps: Mapping[str, Quantize]
    units: Mapping[str, Array]
    limit: int | None
    widths: Mapping[str, Shape]

    def shapes(self, stage: Stage) -> tuple[Shape, Shape]:
        """Shapes of the ports of a stage: those of its node at the ends, flat between them."""
        takes, sends = (prod(stage.takes),), (prod(stage.sends),)
        if stage.reads is not None:
            return self.widths[stage.name], sends
        sinks = {out_area(name): shape for name, shape in self.outputs.items()}
        return takes, sinks.get(stage.keeps or "", sends)

    def to_integers(self, data: Array, name: str | None) -> Array:
        """round(x / step) of data [..., *shape]; data of an input without a Quantize as they are.

        Warns:
            GraphWarning: something was lost beside the rounding to the step.

        Raises:
            InputError: there are several inputs and none of them is named so.
        """
        found = self.steps.get(_only(self.inputs, "input", name))
        if found is None:
            return np.asarray(data)
        integers, loss = quantized(found, np.asarray(data))
        text = loss_text(found, loss)
        if text:
            warnings.warn(f"input: {text}.", GraphWarning, stacklevel=3)
        return integers.astype(np.int64)

    def in_units(self, values: Array, name: str | None) -> Array:
        """Values [..., *shape] of an output times what its 1 stands for; errors as of :meth:`to_integers`."""
        unit = self.units.get(_only(self.outputs, "output", name))
        return np.asarray(values) if unit is None else np.asarray(values, np.float64) * unit


def find_ends(plan: Plan) -> Ends:
    """The ends of the plan that a runtime gets."""
    whole = plan.whole or plan
    hosted = hosted_nodes(whole) if plan.whole else {}
    fed = {name: planned.sources[0].name for name, planned in hosted.items()}
    # An input that feeds several Quantize nodes has a port for each, by their names.
    shown = {
        name: fed[name] if name in fed and list(fed.values()).count(fed[name]) == 1 else name for name in plan.inputs
    }
    shown = {name: name if list(shown.values()).count(port) > 1 else port for name, port in shown.items()}
    units = hosted_units(whole) if plan.whole else {}
    return Ends(
        nodes=plan.names,
        inputs={port: name for name, port in shown.items()},
        outputs={name: plan[name].output_shape for name in plan.outputs},
        steps={shown[name]: planned.node for name, planned in hosted.items()},
        units={o: units[s.name].node.scale for o in whole.outputs for s in whole[o].sources if s.name in units},
        limit=plan.input_limit,
        widths={name: plan[name].output_shape for name in plan.inputs},
    )


def _only(among: Mapping[str, object], kind: str, name: str | None) -> str:
    if name is None and len(among) == 1:
        return next(iter(among))
    if name is None or name not in among:
        found = "several exist and none is named" if name is None else f"{name!r} is not among {', '.join(among)}"
        raise InputError(kind, found, f"Name one of {', '.join(among)}")
    return name
