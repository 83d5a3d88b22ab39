"""The compiled pass of a step, for numba or for Triton: written when it is first needed, and loaded.

Its source is kept as a file, of which numba keeps the machine code for later processes.
"""

from __future__ import annotations

import linecache
import os
import sys
from functools import cache
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any

from nirbridge.errors import FileError
from nirbridge.files import write_whole
from nirbridge.logs import logger
from nirbridge.primitives.spec import Step
from nirbridge_norse.fused.generating import HEAD, TRITON_HEAD, UnwritableError, kernel_source, pass_name, pass_source

LOGGER = logger("runtime.norse")


@cache
def source_of(step: Step, state: tuple[str, ...], triton: bool = False) -> str | None:
    """The file of a step's pass; None where no loop is written for it, or where its own source cannot be read.

    The step then runs in torch, slower and with the same bits.
    """
    head, written = (TRITON_HEAD, kernel_source) if triton else (HEAD, pass_source)
    try:
        return f"{head}\n\n{written(pass_name(step), step, state)}"
    except (UnwritableError, OSError, TypeError) as error:
        LOGGER.info("no pass is written of %s, it runs in torch, step by step: %s", pass_name(step), error)
        return None


@cache
def written_pass(step: Step, state: tuple[str, ...], triton: bool = False) -> Any:
    """The pass of a step; None where :func:`source_of` gives none."""
    source, name = source_of(step, state, triton), pass_name(step)
    if source is None:
        return None
    file = f"{name}_{sha256(source.encode()).hexdigest()[:16]}"
    path = _kept(f"{file}.py", source)
    if path is None:  # Triton reads the source of a kernel
        path = f"<{file}>"
        linecache.cache[path] = len(source), None, source.splitlines(keepends=True), path
    # numba looks here for the module of machine code that an earlier process left.
    module = sys.modules[file] = ModuleType(file)
    exec(compile(source, path, "exec"), vars(module))
    LOGGER.debug("loaded the pass of %s from %s", name, path)
    return getattr(module, name)


def _kept(file: str, source: str) -> str | None:
    """The path of the file that holds the source; None where there is no place for one."""
    try:
        path = _folder() / file
        if not path.exists() or path.read_bytes() != source.encode():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, source)
            LOGGER.info("wrote %s", path)
    except (OSError, RuntimeError, FileError) as error:  # a RuntimeError where there is no home
        LOGGER.info("%s cannot be kept, nor its machine code: %s", file, error)
        return None
    return str(path)


def _folder() -> Path:
    """Where machine code shall be, as numba is told, or the user's cache."""
    caches = (os.environ.get(name) for name in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME"))
    return Path(next(filter(None, caches), None) or Path.home() / ".cache") / "nirbridge" / "passes"
