"""Modules around the network: what is inside of them is read, or, where it cannot be, they are refused by name."""

from __future__ import annotations

from typing import Any

from torch import nn
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.parallel import DataParallel, DistributedDataParallel

from nirbridge.errors import ExportError, Problem
from nirbridge.exporting.call import join

_SCRIPTED = ("ScriptModule", "RecursiveScriptModule", "TracedModule", "TopLevelTracedModule", "ScriptFunction")
_COMPILED = "is compiled by torch.jit, so its code cannot be read"
_EAGER = "Pass the module that torch.jit.script or torch.jit.trace was given"


def inside(module: nn.Module) -> tuple[str, nn.Module] | None:
    """What a container runs, and under which name it holds it; None for a module that is none.

    torch.compile's OptimizedModule, nn.DataParallel and DistributedDataParallel compute what their module computes,
    unless they have hooks.
    """
    if module._forward_hooks or module._forward_pre_hooks:
        return None
    if type(module) in (DataParallel, DistributedDataParallel):
        return "module", module.module
    if type(module).__name__ == "OptimizedModule" and type(module).__module__.startswith("torch._dynamo"):
        return "_orig_mod", module._orig_mod
    return None


def unwrapped(module: Any, path: str = "") -> tuple[Any, str]:
    """A module without the containers around it, and its path in them."""
    while isinstance(module, nn.Module) and (held := inside(module)) is not None:
        path, module = join(path, held[0]), held[1]
    return module, path


def plain(module: nn.Module) -> nn.Module:
    """The network in its containers.

    Raises:
        ExportError: a part of it is compiled by torch.jit, or lazy and without weights yet; all are listed.
    """
    network, _ = unwrapped(module)
    problems, scripted = list[Problem](), list[str]()
    for name, inner in network.named_modules():
        kind = type(inner).__name__
        where = f"module '{name}' ({kind})" if name else f"module {kind}"
        if any(not outer or name.startswith(f"{outer}.") for outer in scripted):
            continue
        if any(parent.__name__ in _SCRIPTED for parent in type(inner).__mro__):
            scripted.append(name)
            problems.append(Problem(where, _COMPILED, _EAGER))
        elif isinstance(inner, LazyModuleMixin):
            problems.append(Problem(where, "has no weights yet", "Run the module once on data"))
    if problems:
        raise ExportError.from_problems(problems)
    return network
