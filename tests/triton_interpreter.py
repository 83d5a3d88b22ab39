"""Triton kernels on a machine without a card: numpy runs them, or they are compiled for a card that is not there."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec, module_from_spec
from typing import Any

import pytest


@contextmanager
def interpreted(*names: str) -> Iterator[None]:
    """Within the block the modules of these names hold interpreted kernels: ``triton.jit`` reads the variable once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRITON_INTERPRET", "1")
        for name in names:
            spec = find_spec(name)
            assert spec is not None
            assert spec.loader is not None
            module = module_from_spec(spec)
            patch.setitem(sys.modules, name, module)
            spec.loader.exec_module(module)
            parent, _, own = name.rpartition(".")
            patch.setattr(importlib.import_module(parent), own, module, raising=False)
        yield


def ptx(kernel: Any, real: str, whole: tuple[str, ...] = (), **constants: Any) -> str:
    """The instructions of a kernel whose pointers are to ``real`` numbers, but for those to ``whole`` ones.

    Divisions are told without ``.ftz``, which Triton 3.4 gave them: quotients below 2^-126 were 0.
    """
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    if triton.language.tensor.__lt__.__name__ == "<lambda>":
        pytest.skip("this release of Triton cannot compile once it has interpreted")
    types = dict.fromkeys(kernel.arg_names, "i32")
    types |= {name: f"*{real}" for name in kernel.arg_names if name in ("data", "out") or name.endswith("_at")}
    types |= dict.fromkeys(whole, "*i64") | dict.fromkeys(constants, "constexpr")
    source = ASTSource(fn=kernel, signature=types, constexprs=constants)
    options = {"enable_fp_fusion": False}
    text: str = triton.compile(source, target=GPUTarget("cuda", 80, 32), options=options).asm["ptx"]
    return text.replace("div.rn.ftz", "div.rn")


class Launched(dict[str, Any]):
    """Stands in for a kernel and holds the options of its last launch."""

    def __getitem__(self, key: Any) -> Any:
        return (lambda *_, **options: self.update(options)) if isinstance(key, tuple) else super().__getitem__(key)
