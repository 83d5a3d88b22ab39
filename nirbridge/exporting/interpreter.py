"""Walks through a traced module and lowers what it finds, layer by layer."""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import fx, nn

from nirbridge.errors import GraphError, NirbridgeError
from nirbridge.exporting.builder import GraphBuilder, free_name
from nirbridge.exporting.call import Call, Handler, join
from nirbridge.exporting.containers import inside, unwrapped
from nirbridge.exporting.functions import ARITHMETIC, TAKES_MOVED, VIEWS, attribute
from nirbridge.exporting.neurons import over_time
from nirbridge.exporting.paths import unwatched
from nirbridge.exporting.settling import Moved
from nirbridge.exporting.signal import (
    BATCH,
    STEPS,
    UNKNOWN,
    RefusalError,
    Signal,
    State,
    Unknown,
    find_all,
    is_count,
    is_recorded,
)
from nirbridge.exporting.states import LEAVE_STATES, handed_on, is_one_step, leaves, left_out, others
from nirbridge.exporting.tracing import IN_PLACE, SOURCE, ExportTracer, failing_line, refused
from nirbridge.exporting.user_code import describe, user_code
from nirbridge.exporting.vocabulary import SPIKING, Vocabulary

_QUOTIENTS = (operator.truediv, operator.floordiv)
_COMPARISONS = (operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge)
_READINGS = (getattr, "size", "dim", "numel")
_COPIES = ("clone", "repeat", "flip", "repeat_interleave", "index_select", "pixel_unshuffle", "channel_shuffle")
"""Functions that move values into memory of their own."""


class Interpreter:
    """Lowers modules into one builder.

    Attributes:
        builder: the graph so far.
        vocabulary: what it lowers.
    """

    def __init__(self, builder: GraphBuilder, vocabulary: Vocabulary = SPIKING) -> None:
        self.builder = builder
        self.vocabulary = vocabulary

    def call_module(self, module: nn.Module, path: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What ``module`` makes of its arguments; what is refused becomes a problem and ``UNKNOWN``."""
        module, path = unwrapped(module, path)
        where = f"module '{path}' ({type(module).__name__})" if path else f"module {type(module).__name__}"
        try:
            handler = self.vocabulary.handler(module)
            if handler is None and not self.vocabulary.is_leaf(module):
                return Trace(self, module, path).run(args, kwargs)
            if not is_recorded((args, kwargs)):
                return _computed(module, args, kwargs)
            _refuse_patches(module)
            if handler is None:
                raise self.vocabulary.module_refusal(module, args)
            return self.apply(handler, path, (module, *args), kwargs)
        except RefusalError as refusal:
            self.builder.refuse(where, refusal)
            return refusal.result

    def apply(self, handler: Handler, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Calls a handler, unless what it would work on was refused before."""
        if find_all(Unknown, (args, kwargs)):
            return UNKNOWN
        call = Call(self.builder, name, self.call_module)
        if handler not in TAKES_MOVED:
            args, kwargs = fx.node.map_aggregate((args, kwargs), self._settled)
        try:
            inspect.signature(handler).bind(call, *args, **kwargs)
        except TypeError as error:
            raise RefusalError(
                f"is called in a way that export does not know ({error})", "Call it more plainly"
            ) from None
        try:
            return handler(call, *args, **kwargs)
        except GraphError as error:  # no such node can be made
            raise RefusalError("; ".join(one.found for one in error.problems), error.problems[0].next_step) from error

    def _settled(self, value: Any) -> Any:
        return self.builder.settle(value) if isinstance(value, Signal) else value


class Trace:
    """One module's ``forward``, recorded and lowered."""

    def __init__(self, interpreter: Interpreter, module: nn.Module, path: str) -> None:
        self.interpreter = interpreter
        self.module = module
        self.path = path
        self.values: dict[fx.Node, Any] = {}
        names = (name for name, _ in module.named_modules(remove_duplicate=False))
        interpreter.builder.modules.update(join(path, name) for name in names)
        self.vocabulary = interpreter.vocabulary
        self.tracer = ExportTracer(
            lambda inner: inside(inner) is not None or self.vocabulary.is_leaf(inner),
            self._counts,
        )

    def run(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The value that ``forward`` returns.

        Raises:
            RefusalError: ``forward`` cannot be recorded, or does something else when it is called again.
        """
        _refuse_patches(self.module)
        self.tracer.arguments = self._bind(args, kwargs)
        graph = self._recorded(self._evaluate)
        self._refuse_overwriting(graph)
        self._recorded(self._as_before(graph, self._is_alike, "from call to call"))
        (output,) = graph.find_nodes(op="output")
        result = self.values[output]
        given = self.tracer.arguments
        handed = handed_on(given, result)
        if not self.path:
            self.interpreter.builder.left_out = left_out(given, handed)
        if is_one_step(given) and find_all(State, handed):
            self.tracer.arguments = given | handed
            how = "at a step that is given the states of the one before"
            with unwatched():
                self._recorded(self._as_before(graph, self._is_alike_later, how))
        return result

    def _recorded(self, evaluate: Callable[[fx.Node], Any]) -> fx.Graph:
        self.tracer.evaluate = evaluate
        dice = torch.get_rng_state()
        try:
            with user_code():
                graph = self.tracer.trace(self.module)
        except (RefusalError, NirbridgeError):
            raise
        except Exception as error:
            raise _tracing_refusal(error) from error
        if not torch.equal(dice, torch.get_rng_state()):
            found = "draws random numbers in evaluation too, and a graph would hold those of this one time"
            raise RefusalError(found, "Draw them where self.training is True alone")
        return graph

    def _as_before(
        self, first: fx.Graph, is_alike: Callable[[fx.Node, fx.Node], bool], how: str
    ) -> Callable[[fx.Node], Any]:
        """Gives the nodes of a second call the values of the first; refuses what differs, as code that keeps states."""
        before = iter([node for node in first.nodes if self._is_lowered(node)])

        def evaluate(node: fx.Node) -> Any:
            if node not in self.values and self._is_lowered(node):
                twin = next(before)
                if not is_alike(node, twin):
                    self.interpreter.builder.changes = True
                    raise refused(f"what it does changes {how}", LEAVE_STATES)
                self.values[node] = self.values[twin]
            return self._evaluate(node)

        return evaluate

    def _is_lowered(self, node: fx.Node) -> bool:
        """Whether it stands for more than a number, a parameter or the reading of a shape."""
        item = node.target is operator.getitem and isinstance(self._evaluate(node.args[0]), (tuple, list, dict))
        takes = any(is_recorded(self._evaluate(one)) for one in node.all_input_nodes)
        return node.op == "output" or (takes and not item and node.target not in _READINGS)

    def _is_alike(self, node: fx.Node, twin: fx.Node, leaves: Callable[[Any], list[Any]] = leaves) -> bool:
        """Whether both do the same to the same; a tensor of the call before is another."""
        kept = [one for one in node.all_input_nodes if one.graph is twin.graph]
        if node.target != twin.target or any(is_recorded(self.values[one]) for one in kept):
            return False
        ours, theirs = (leaves(self._arguments(one)) for one in (node, twin))
        return len(ours) == len(theirs) and all(map(_is_same, ours, theirs))

    def _is_alike_later(self, node: fx.Node, twin: fx.Node) -> bool:
        """Whether both do the same but for states, and a module is given the states that it handed on."""
        given, handed = ({one.cell for one in find_all(State, it)} for it in (self._arguments(node), self.values[twin]))
        return self._is_alike(node, twin, others) and (node.op != "call_module" or given == handed)

    def _arguments(self, node: fx.Node) -> Any:
        return fx.node.map_arg((node.args, node.kwargs), self._evaluate)

    def _attribute(self, node: fx.Node) -> Any:
        """A tensor of the module as it is at this moment."""
        value = operator.attrgetter(node.target)(self.module)
        return value.detach().clone() if isinstance(value, torch.Tensor) else value

    def _bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        signature = inspect.signature(type(self.module).forward)
        try:
            bound = signature.bind(self.module, *args, **kwargs)
        except TypeError as error:
            raise RefusalError(
                f"forward does not take one tensor: {error}",
                "Give input_shape by argument name, and states a default of None",
            ) from None
        bound.apply_defaults()
        return dict(list(bound.arguments.items())[1:])

    def _counts(self, node: fx.Node) -> bool:
        """Whether a number comes of the sizes of time or batch, for which others stand while the code is recorded.

        A quotient of two does not, and neither does a comparison of two, or of one with none at all.
        """
        value = self.values[node]
        if is_count(value) or node.target == "numel":
            return True
        if not isinstance(value, (int, float)) and not (isinstance(value, torch.Tensor) and value.numel() == 1):
            return False
        counted = [one for one in node.all_input_nodes if self._counts(one)]
        if len(counted) == 2 and node.target in _COMPARISONS:
            return False
        if len(counted) == 2 and node.target in _QUOTIENTS:  # of T·B·n by T one is left
            return any(value % size == 0 for size in (STEPS, BATCH))
        of_none = (node.target in _COMPARISONS and 0 in node.args) or (
            node.target in (operator.lt, operator.ge) and 1 in node.args
        )
        return bool(counted) and not (of_none and is_count(self.values[counted[0]]))

    def _evaluate(self, node: fx.Node) -> Any:
        if node not in self.values:
            args, kwargs = fx.node.map_arg((node.args, node.kwargs), self._evaluate)
            try:
                self.values[node] = _OPERATIONS[node.op](self, node, args, kwargs)
            except RefusalError as refusal:
                self.interpreter.builder.refuse(self._where(node), refusal)
                self.values[node] = refusal.result
        return self.values[node]

    def _call_module(self, node: fx.Node, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        module = self.module.get_submodule(node.target)
        return self.interpreter.call_module(module, join(self.path, node.target), args, kwargs)

    def _call_function(self, node: fx.Node, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if not is_recorded((args, kwargs)):
            _refuse_writing(node.target in IN_PLACE)
            return _computed(node.target, args, kwargs)
        if hasattr(node.target, "_fields"):  # a named tuple, which torch.fx makes anew
            return node.target(*args, **kwargs)
        if node.target is getattr:
            return attribute(args[0], args[1], self.interpreter.builder.dtype)
        if node.target is operator.getitem and isinstance(args[0], (tuple, list, dict)):
            return _item(*args)
        return self._apply(node, self.vocabulary.functions.get(node.target), node.target.__name__, args, kwargs)

    def _call_method(self, node: fx.Node, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if not is_recorded((args, kwargs)):
            _refuse_writing(node.target.endswith("_"))
            return _computed(getattr(args[0], node.target), args[1:], kwargs)
        name = node.target.rstrip("_")
        _refuse_writing(node.target.endswith("_") and not is_recorded(args[0]))
        on_signal = isinstance(args[0], (Signal, Unknown)) or name in self.vocabulary.constant_first
        return self._apply(node, self.vocabulary.methods.get(name) if on_signal else None, name, args, kwargs)

    def _apply(self, node: fx.Node, handler: Handler | None, name: str, args: Any, kwargs: Any) -> Any:
        """What a function or method with this handler makes of its arguments."""
        if handler is None:
            raise self.vocabulary.function_refusal(name, args)
        if handler in ARITHMETIC and any(self._counts(one) for one in node.all_input_nodes):
            found = "computes with the number of steps or samples, which a graph does not know"
            raise RefusalError(found, "Use a number that the module holds")
        return self.interpreter.apply(handler, self._name(node, name), args, kwargs)

    def _name(self, node: fx.Node, function: str) -> str:
        stack = list(node.meta.get("nn_module_stack", {}).values())
        inner = stack[-1][0] if stack else ""
        path = join(self.path, inner)
        return free_name(join(path, function), self.interpreter.builder.modules) if function else path

    def _where(self, node: fx.Node) -> str:
        owner = self._name(node, "")
        line = node.meta.get(SOURCE)
        of = f" in '{owner}'" if owner else f" in {type(self.module).__name__}"
        return f"function '{_function_name(node).rstrip('_')}'{of}{f' ({line})' if line else ''}"

    def _refuse_overwriting(self, graph: fx.Graph) -> None:
        """Refuses an in-place operation on memory that is read again: the trace holds its old value there."""
        order = {node: position for position, node in enumerate(graph.nodes)}
        memory: dict[fx.Node, list[fx.Node]] = {}
        held: dict[fx.Node, Any] = {}
        for node in graph.nodes:
            in_place = _is_in_place(node)
            held[node] = held[node.args[0]] if in_place else self.values[node]
            shared = memory.get(node.args[0], []) if in_place or self._is_view(node) else []
            later = ((held[name], user) for name in shared for user in name.users if order[user] > order[node])
            read = (self._reads_values(one) and _overlap(held[node], self._read(value, one)) for value, one in later)
            if in_place and (any(name.op == "placeholder" for name in shared) or any(read)):
                found = "changes a tensor in place that is also used under another name"
                self.interpreter.builder.refuse(self._where(node), RefusalError(found, "Write x = x + y"))
            memory[node] = shared
            shared.append(node)

    def _read(self, held: Any, user: fx.Node) -> Any:
        """What ``user`` reads of it: of several tensors the one that it takes."""
        return self.values[user] if isinstance(held, (tuple, list)) and user.target is operator.getitem else held

    def _reads_values(self, node: fx.Node) -> bool:
        """Whether it takes more than the shape of a tensor."""
        return bool(find_all((Signal, Unknown), self.values[node]))

    def _is_view(self, node: fx.Node) -> bool:
        """Whether its result lies where its first argument does, in full or in part; where torch may copy, too."""
        if not node.args or not isinstance(node.args[0], fx.Node) or not self._reads_values(node):
            return False
        if node.op == "call_module":
            handler = self.vocabulary.handler(self.module.get_submodule(node.target))
            return handler in (None, over_time) or handler in VIEWS
        table = self.vocabulary.methods if node.op == "call_method" else self.vocabulary.functions
        return table.get(node.target) in VIEWS and _function_name(node) not in _COPIES


_OPERATIONS: dict[str, Callable[..., Any]] = {
    "placeholder": lambda trace, node, _args, _kwargs: trace.tracer.arguments[node.target],
    "get_attr": lambda trace, node, _args, _kwargs: trace._attribute(node),
    "call_module": Trace._call_module,
    "call_function": Trace._call_function,
    "call_method": Trace._call_method,
    "output": lambda _trace, _node, args, _kwargs: args[0],
}


def _is_same(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        return torch.equal(one.to_dense().nan_to_num(), other.to_dense().nan_to_num())
    return type(one) is type(other) and (one == other or str(one) == str(other) == "nan")


def _refuse_patches(module: nn.Module) -> None:
    """Refuses a module of which its type does not say all that it computes."""
    everywhere = nn.modules.module._global_forward_hooks or nn.modules.module._global_forward_pre_hooks
    if module._forward_hooks or module._forward_pre_hooks or everywhere:
        raise RefusalError(
            "has forward hooks, which may change its values",
            "Remove them (torch.nn.utils.remove_weight_norm and the like bake a hook in)",
        )
    if "forward" in vars(module):
        found = "has a forward that was set on the object, which is not read"
        raise RefusalError(found, "Define forward in a class of its own")
    kind, plain = type(module), nn.Module
    called = (kind.__call__, kind._call_impl) == (plain.__call__, plain._call_impl)
    if not called and not isinstance(module, fx.GraphModule):  # which looks for an error's line
        raise RefusalError("has a __call__ of its own, which is not read", "Define forward alone")
    if module.training:
        raise RefusalError("is put into training mode by forward, and a graph is in evaluation", "Leave it as it is")


def _refuse_writing(in_place: bool) -> None:
    if in_place:
        raise RefusalError("changes a tensor of the module in place", "Write x = x + y, and leave states to neurons")


def _item(parts: Any, index: Any) -> Any:
    """One of several tensors."""
    try:
        return parts[index]
    except (IndexError, KeyError):
        raise RefusalError(f"takes number {index!r} of {len(parts)} tensors", "Take one that is there") from None


def _computed(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What code computes from parameters and numbers alone."""
    try:
        with torch.no_grad(), user_code():
            return function(*args, **kwargs)
    except Exception as error:
        raise RefusalError(f"raises {describe(error)}", "Run the module itself first") from error


def _is_in_place(node: fx.Node) -> bool:
    method = node.op == "call_method" and node.target.endswith("_")
    return (node.target in IN_PLACE or method) and isinstance(node.args[0], fx.Node)


def _overlap(one: Any, other: Any) -> bool:
    """Whether two tensors of the same memory share values; parts of one tensor need not."""
    if not isinstance(one, Moved) or not isinstance(other, Moved) or one.base != other.base:
        return True
    return bool(np.isin(one.places, other.places).any())


def _function_name(node: fx.Node) -> str:
    return node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")


def _tracing_refusal(error: Exception) -> RefusalError:
    if isinstance(error, RecursionError):
        return RefusalError(
            "forward cannot be traced: it is nested too deeply for Python's limit of calls", "Nest less"
        )
    line = failing_line(error.__traceback__)
    text = str(error).strip().split("\n")[0] or type(error).__name__
    if "RecordedTensor" in text or isinstance(error, fx.proxy.TraceError):
        text = "a loop, index or number is taken from a tensor or its shape"
    found = f"forward cannot be traced{f' at {line}' if line else ''}: {text}"
    return RefusalError(
        found, "Keep forward to layers, sums and reshapes, without loops over tensors or sizes taken from them"
    )
