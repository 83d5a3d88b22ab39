"""What the runs were made on."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path


def machine(workers: int) -> dict[str, object]:
    """Processor, cores and versions; no date and no name of a host."""
    return {
        "processor": processor(),
        "cores": os.cpu_count() or 1,
        "workers": workers,
        "threads of each": 1,
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("torch", "numpy", "numba", "scikit-learn", "nirbridge")},
    }


def processor() -> str:
    """The name of the processor, as far as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
