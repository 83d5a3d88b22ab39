"""What the runs were made on."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path


@dataclass(frozen=True)
class Workers:
    """Who does the runs: so many processes here, or a Dask cluster; see ``nirbridge.workers.crew``."""

    count: int
    cluster: str | None = None

    def __str__(self) -> str:
        if self.cluster is None:
            return f"{self.count} worker processes of one thread"
        return f"a Dask cluster, '{self.cluster}'"


def machine(workers: Workers) -> dict[str, object]:
    """Processor, cores and versions; no date and no name of a host."""
    return {
        "processor": processor(),
        "cores": os.cpu_count() or 1,
        "workers": workers.count,
        "cluster": workers.cluster,
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
