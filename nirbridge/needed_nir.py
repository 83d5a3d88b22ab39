"""Refuses, when it is imported, a missing or too old ``nir``: it would fail later, in words that nobody understands.

Old ones are common, because other packages pin them.
"""

from __future__ import annotations

import re
from importlib import import_module

from nirbridge.errors import LibraryError

NEEDED = "1.0.8"
_INSTALL = f"Run: pip install 'nir>={NEEDED},<2'. Where another package pins an older one, use an environment apart"


def _require() -> None:
    try:
        nir = import_module("nir")
    except ModuleNotFoundError as error:
        if error.name != "nir":
            raise
        raise LibraryError("library 'nir'", f"is not installed, {NEEDED} or newer is needed", _INSTALL) from error
    version = str(getattr(nir, "version", getattr(nir, "__version__", "of unknown number")))
    numbers = tuple(map(int, re.findall(r"\d+", version)[:3]))
    # A copy without metadata does not know its number: NIR's data came with the last one.
    if not hasattr(nir, "NIRGraphData") or (numbers and numbers < tuple(map(int, NEEDED.split(".")))):
        found = f"is version {version} ({getattr(nir, '__file__', '')}), {NEEDED} or newer is needed"
        raise LibraryError("library 'nir'", found, _INSTALL)


_require()
