"""Records what a module's ``forward`` does, with torch.fx, and leaves the module as it was."""

from __future__ import annotations

import builtins
import inspect
import operator
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

import torch
from torch import fx, nn

from nirbridge.exporting.signal import RefusalError, Signal, State, Unknown, is_count, is_recorded

_HERE = str(Path(__file__).parent)
_CONVERTING = str(Path(__file__).parents[1] / "converting")
_TORCH = f"{Path(torch.__file__).parent}{os.sep}"
_NOT_OF_THE_USER = (_HERE, _TORCH, "<")
_NO_LOOP = "Write forward without a loop over them: neurons of nirbridge.neurons run over all steps in one call"
_NO_COUNT = "Write forward alike for any number of them"
_GETATTR, _CALL = nn.Module.__getattr__, nn.Module.__call__
IN_PLACE = (operator.iadd, operator.isub, operator.imul, operator.itruediv)
_PLAIN = (bool, int, float, torch.dtype, torch.device, torch.Size)
SOURCE = "nirbridge_source"
"""Key in a node's meta for ``file.py:line`` of the user's code, where there is any."""


class RecordedTensor(fx.Proxy):
    """A stand-in that has the attributes of what it stands for, and that tells ``x += y`` from ``x + y``."""

    def __getattr__(self, name: str) -> Any:
        return self.tracer.read(self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in ("tracer", "node"):
            raise refused(f"sets '.{name}' of a tensor", "Keep forward to layers, sums and reshapes")
        super().__setattr__(name, value)

    def __iter__(self) -> Iterator[Any]:
        return iter([self[index] for index in range(len(self))])

    def __len__(self) -> int:
        return len(self.tracer.items(self))

    def __index__(self) -> int:
        return int(self.tracer.number(self))

    __int__ = __index__

    def __float__(self) -> float:
        return float(self.tracer.number(self))


def _in_place(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda self, other: self.tracer.create_proxy("call_function", function, (self, other), {})


for _function in IN_PLACE:
    setattr(RecordedTensor, f"__{_function.__name__}__", _in_place(_function))


class ExportTracer(fx.Tracer):
    """Traces one module; ``if`` and unpacking work where they depend on shapes alone.

    Args:
        is_leaf: which modules are recorded as one call.
        counts: whether the value of a node depends on the sizes of time or batch.

    Attributes:
        arguments: of ``forward``, by name.
        evaluate: gives the value of a node as soon as it is recorded, and again when it is asked for.
    """

    def __init__(self, is_leaf: Callable[[nn.Module], bool], counts: Callable[[fx.Node], bool]) -> None:
        super().__init__()
        self._is_leaf = is_leaf
        self._counts = counts
        self.arguments: dict[str, Any] = {}
        self.evaluate: Callable[[fx.Node], Any]

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Whether ``m`` is recorded as one call."""
        return self._is_leaf(m)

    def create_node(self, *args: Any, **kwargs: Any) -> fx.Node:
        """A node that has its value, of what modules are at this moment, and knows the line of the user's code."""
        if any(torch.is_autocast_enabled(device) for device in ("cpu", "cuda")):
            raise refused("computes in lower precision, by torch.autocast", "Leave autocast around the network's call")
        node = super().create_node(*args, **kwargs)
        node.meta[SOURCE] = _user_line(sys._getframe(1))
        with _untraced():
            self.evaluate(node)
        return node

    def create_arg(self, a: Any) -> Any:
        """What stands for an argument in a node; a stand-in for a tensor would pass for a tensor of the module."""
        return a.node if isinstance(a, fx.Proxy) else super().create_arg(a)

    def trace(self, *args: Any, **kwargs: Any) -> fx.Graph:
        """The graph of what ``forward`` does, to which stand-ins are instances of what they stand for."""

        def is_one(value: Any, kinds: Any) -> bool:
            if type(value) is not RecordedTensor:
                return known(value, kinds)
            return issubclass(RecordedTensor, kinds) or issubclass(value.tracer.kind(value), kinds)

        # Not __class__, by which also code in C would take them for tensors, and read memory that is none.
        known, builtins.isinstance = builtins.isinstance, is_one
        try:
            return super().trace(*args, **kwargs)
        finally:
            builtins.isinstance = known

    def proxy(self, node: fx.Node) -> Any:
        """The stand-in for a node's value; the value itself where it is a number that stands for nothing else."""
        value = self.evaluate(node)
        sizes = value if isinstance(value, tuple) else ()
        known = isinstance(value, _PLAIN) and not self._counts(node) and not any(map(is_count, sizes))
        return value if known else RecordedTensor(node, self)

    def create_args_for_root(self, root_fn: Any, is_module: bool, concrete_args: Any = None) -> tuple[Any, list[Any]]:
        """A placeholder for every argument that is a tensor, the others as they are."""
        passed = {
            name: _parts(self.create_proxy("placeholder", name, (), {}), value) if is_recorded(value) else value
            for name, value in self.arguments.items()
        }

        def forward(module: nn.Module) -> Any:
            bound = inspect.signature(root_fn).bind_partial(module)
            bound.arguments.update(passed)
            return root_fn(*bound.args, **bound.kwargs)

        return forward, [self.root]

    def kind(self, obj: fx.Proxy) -> type[Any]:
        """The type of what ``obj`` stands for."""
        value = self.evaluate(obj.node)
        return torch.Tensor if isinstance(value, (Signal, Unknown)) else type(value)

    def read(self, obj: fx.Proxy, name: str) -> Any:
        """An attribute of what ``obj`` stands for; of states and of what was refused it may be any."""
        kind = self.kind(obj)
        if not hasattr(kind, name) and not isinstance(self.evaluate(obj.node), (State, Unknown)):
            raise AttributeError(f"'{kind.__name__}' object has no attribute '{name}'")
        if callable(getattr(kind, name, None)):
            return fx.proxy.Attribute(obj, name)
        return self.create_proxy("call_function", getattr, (obj, name), {})

    def to_bool(self, obj: fx.Proxy) -> bool:
        """The value of a condition."""
        value = self.evaluate(obj.node)
        if is_recorded(value) and not isinstance(value, (tuple, list)):
            hint = "Write forward without if or while over values of tensors"
            raise refused("its control flow depends on the data", hint)
        if self._counts(obj.node):
            raise refused("its control flow depends on the number of steps or samples", _NO_COUNT)
        return bool(value)

    def items(self, obj: fx.Proxy) -> Sequence[Any]:
        """The items of a shape or of a tuple."""
        value = self.evaluate(obj.node)
        if not isinstance(value, (tuple, list)):
            raise refused("iterates over a tensor", _NO_LOOP)
        return value

    def number(self, obj: fx.Proxy) -> Any:
        """A parameter as a plain number; the sizes of time and batch are not known while a module is traced."""
        value = self.evaluate(obj.node)
        if is_recorded(value):
            raise refused("takes a number from a tensor", "Write forward without numbers taken from tensors")
        if self._counts(obj.node):
            raise refused("depends on the number of steps or samples", _NO_LOOP)
        return value


def _parts(stand_in: Any, value: Any) -> Any:
    """The items of a tuple, list or dictionary each by itself: code writes to lists, and asks which items are None."""
    if isinstance(value, (list, tuple)):
        items = [_parts(stand_in[place], item) for place, item in enumerate(value)]
        return items if isinstance(value, list) else type(value)(*items) if hasattr(value, "_fields") else tuple(items)
    if isinstance(value, dict):
        return {key: _parts(stand_in[key], item) for key, item in value.items()}
    return stand_in if is_recorded(value) else value


def refused(found: str, next_step: str) -> RefusalError:
    """A refusal that names the line of the user's code at which it is made."""
    line = _user_line(sys._getframe(1))
    return RefusalError(f"{found}{f' at {line}' if line else ''}", next_step)


@contextmanager
def _untraced() -> Iterator[None]:
    """Takes off the patches by which a trace records module calls and parameters, while a node is lowered."""
    patched = nn.Module.__getattr__, nn.Module.__call__
    nn.Module.__getattr__, nn.Module.__call__ = _GETATTR, _CALL
    try:
        yield
    finally:
        nn.Module.__getattr__, nn.Module.__call__ = patched


@contextmanager
def evaluation(module: nn.Module) -> Iterator[None]:
    """Puts ``module`` into evaluation mode for the block and undoes whatever the block does to its attributes."""
    kept = [
        (inner, {key: (value, _shallow(value)) for key, value in vars(inner).items()}) for inner in module.modules()
    ]
    buffers = [(buffer, buffer.clone()) for buffer in module.buffers()]
    try:
        # Not module.eval(): a module may override train() with a side effect.
        for inner, _ in kept:
            inner.training = False
        with torch.no_grad():
            yield
    finally:
        for inner, attributes in kept:
            vars(inner).clear()
            for key, (value, contents) in attributes.items():
                _restore(value, contents)
                vars(inner)[key] = value
        for buffer, saved in buffers:
            buffer.data.copy_(saved)


def _shallow(value: Any) -> Any:
    return value.copy() if isinstance(value, (dict, list, set)) else None


def _restore(value: Any, contents: Any) -> None:
    """Puts back what a container held, in the container itself: others may hold it too."""
    if isinstance(value, list):
        value[:] = contents
    elif isinstance(value, (dict, set)):
        value.clear()
        value.update(contents)


def is_of_the_user(name: str) -> bool:
    """Whether a file of code is neither torch's nor export's."""
    return not name.startswith(_NOT_OF_THE_USER)


def _user_line(innermost: FrameType) -> str:
    """``file.py:line`` of the innermost frame outside of torch, before export itself comes."""
    for frame, line in traceback.walk_stack(innermost):
        name = frame.f_code.co_filename
        if name.startswith(_CONVERTING) or (name.startswith(_HERE) and frame.f_code.co_name == "export"):
            return ""
        if is_of_the_user(name):
            return f"{Path(name).name}:{line}"
    return ""


def failing_line(trace: TracebackType | None) -> str:
    """``file.py:line`` of the user's code in a traceback: the innermost frame outside of torch and export."""
    walked = ((frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(trace))
    lines = [f"{Path(name).name}:{line}" for name, line in walked if is_of_the_user(name)]
    return lines[-1] if lines else ""
