"""Networks as plain values, and stand-ins with those values, so that tests need no framework.

``describe`` turns a network of a framework into JSON and arrays; ``rebuild`` makes modules whose types bear the same
names and hold the same values.  What they compute was computed by the framework itself.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

_SPIKE_FUNCTIONS = ("spike_grad", "surrogate_function")
_OURS = ("torch.", "tests.")
Arrays = dict[str, np.ndarray]


def describe(module: nn.Module, arrays: Arrays) -> dict[str, Any]:
    """The module's type, values and children; tensors go to ``arrays``."""
    kind = type(module)
    found = {key: value for key, value in vars(module).items() if not key.startswith("_") and key != "training"}
    found |= {**module._parameters, **module._buffers}
    if not kind.__module__.startswith(_OURS):
        found |= _properties(module)
    found |= {key: value for key in _SPIKE_FUNCTIONS if (value := getattr(module, key, None)) is not None}
    children = {name: child for name, child in module.named_children() if name not in _SPIKE_FUNCTIONS}
    return {
        "type": _name(kind),
        "values": {key: plain for key, value in found.items() if (plain := _plain(key, value, arrays)) is not None},
        "children": {name: describe(child, arrays) for name, child in children.items()},
    }


def rebuild(tree: dict[str, Any], arrays: Arrays) -> nn.Module:
    """The module that ``describe`` described."""
    home, _, name = tree["type"].rpartition(".")
    kind = getattr(import_module(home), name) if home.startswith(_OURS) else _stand_in(home, name)
    module = kind.__new__(kind)
    nn.Module.__init__(module)
    for key, plain in tree["values"].items():
        setattr(module, key, _value(plain, arrays))
    for key, child in tree["children"].items():
        module.add_module(key, rebuild(child, arrays))
    return module.eval()


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _properties(module: nn.Module) -> dict[str, Any]:
    names = {name for kind in type(module).__mro__ for name, value in vars(kind).items() if isinstance(value, property)}
    return {name: getattr(module, name) for name in sorted(names) if not name.startswith("_") and hasattr(module, name)}


def _plain(key: str, value: Any, arrays: Arrays) -> Any:
    """Something that JSON can hold; None for what export cannot ask of a module."""
    if key in _SPIKE_FUNCTIONS:
        return {"fires": ">=" if float(value(torch.zeros(()))) else ">"}
    if isinstance(value, Tensor):
        if not value.numel():
            return None  # a state before the first step
        arrays[f"array{len(arrays)}"] = value.detach().numpy()
        return {"array": f"array{len(arrays) - 1}"}
    if value is None or isinstance(value, (bool, int, float, str)):
        return {"value": value}
    if isinstance(value, (tuple, list)) and all(isinstance(one, int) for one in value):
        return {"tuple": list(value)}
    kind = value if isinstance(value, type) else type(value)
    if kind.__module__.startswith("sinabs.activation"):
        return {"object": _name(kind), "is_type": kind is value, "values": {} if kind is value else vars(value)}
    return None


def _value(plain: dict[str, Any], arrays: Arrays) -> Any:
    if "array" in plain:
        tensor = torch.from_numpy(arrays[plain["array"]].copy())
        return nn.Parameter(tensor) if tensor.is_floating_point() else tensor
    if "fires" in plain:
        return (lambda v: (v >= 0).float()) if plain["fires"] == ">=" else (lambda v: (v > 0).float())
    if "object" in plain:
        home, _, name = plain["object"].rpartition(".")
        kind = type(name, (), {"__module__": home})
        made = kind()
        vars(made).update(plain["values"])
        return kind if plain["is_type"] else made
    return tuple(plain["tuple"]) if "tuple" in plain else plain["value"]


def _stand_in(home: str, name: str) -> type[nn.Module]:
    return type(name, (nn.Module,), {"__module__": home, "forward": lambda self, x: x * self.V})
