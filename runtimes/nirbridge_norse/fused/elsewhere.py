"""Compiled passes of primitives from other packages: written to the user's cache, as numba and Triton work on files."""

from __future__ import annotations

import importlib.util
import os
import sys
from contextlib import suppress
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from nirbridge.errors import FileError
from nirbridge.files import write_whole
from nirbridge.logs import logger
from nirbridge.primitives.spec import Step
from nirbridge_norse.fused.generating import HEAD, TRITON_HEAD, UnwritableError, kernel_source, pass_name, pass_source

LOGGER = logger("runtime.norse")


@cache
def foreign_pass(step: Step, state: tuple[str, ...], triton: bool = False) -> Any:
    """The pass of a step that is not among :mod:`nirbridge_norse.fused.steps`, for numba or for Triton.

    None where no loop is written for it, or where its source or the cache cannot be read or written: the step then
    runs in torch, slower and with the same bits.
    """
    name = pass_name(step)
    try:
        head, written = (TRITON_HEAD, kernel_source) if triton else (HEAD, pass_source)
        source = f"{head}\n\n{written(name, step, state)}"
    except (UnwritableError, OSError, TypeError):
        return None
    file = f"{name}_{sha256(source.encode()).hexdigest()[:16]}.py"
    with suppress(OSError, RuntimeError, FileError):  # a RuntimeError where there is no home
        path = _folder() / file
        if not path.exists() or path.read_text() != source:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, source.encode())
            LOGGER.info("wrote the pass of %s to %s", name, path)
        spec = importlib.util.spec_from_file_location(path.stem, path)
        if spec is not None and spec.loader is not None:
            # numba looks here for the module of machine code that an earlier process left.
            module = sys.modules[path.stem] = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            LOGGER.debug("loaded the pass of %s from %s", name, path)
            return getattr(module, name)
    LOGGER.info("%s can be kept nowhere: it runs in torch, step by step", file)
    return None


def _folder() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "nirbridge" / "passes"
