"""What an interpreter understands: which modules, functions and methods it lowers, and what it says of the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn
from torch.nn.utils import parametrize

from nirbridge.exporting import foreign, layers, neurons, norse, refusals
from nirbridge.exporting.call import Handler
from nirbridge.exporting.functions import ARITHMETIC, FUNCTIONS, METHODS
from nirbridge.exporting.signal import RefusalError


@dataclass(frozen=True)
class Vocabulary:
    """Handlers by exact type of module, by function and by name of method.

    Attributes:
        modules: module type → handler.
        named_modules: full name of a type → handler, for libraries that are not imported.
        functions: function → handler.
        methods: name of a tensor method, without a trailing underscore → handler.
        module_refusal: why a module without a handler is refused, from the module and its arguments.
        function_refusal: why a function or method is, from its name and its arguments.
        constant_first: methods that are lowered too where the tensor that they are called on is a constant.
    """

    modules: Mapping[type[nn.Module], Handler]
    named_modules: Mapping[str, Handler]
    functions: Mapping[Any, Handler]
    methods: Mapping[str, Handler]
    module_refusal: Callable[[nn.Module, Any], RefusalError]
    function_refusal: Callable[[str, Any], RefusalError]
    constant_first: frozenset[str] = frozenset()

    def handler(self, module: nn.Module) -> Handler | None:
        """The handler of exactly this type: a subclass may mean something else."""
        kind = parametrize.type_before_parametrizations(module)
        return self.modules.get(kind) or self.named_modules.get(f"{kind.__module__}.{kind.__qualname__}")

    def is_leaf(self, module: nn.Module) -> bool:
        """Whether a module is lowered, or refused, as a whole instead of being traced through."""
        if self.handler(module) is not None or neurons.is_neuron(module):
            return True
        if norse.is_neuron(module) or foreign.framework_of(module) is not None:
            return True
        home = type(module).__module__
        return home.startswith(("torch.nn.", "torch.ao.")) and not isinstance(module, nn.Sequential)


SPIKING = Vocabulary(
    modules={**layers.MODULES, **neurons.MODULES},
    named_modules={**layers.NAMED_MODULES, **norse.MODULES, **foreign.MODULES},
    functions=FUNCTIONS,
    methods=METHODS,
    module_refusal=refusals.module_refusal,
    function_refusal=refusals.function_refusal,
    constant_first=frozenset(name for name, handler in METHODS.items() if handler in ARITHMETIC),
)
"""What ``export`` lowers: layers, and neurons of nirbridge, Norse and the other frameworks."""
