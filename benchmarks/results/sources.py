"""Which state of the code a run was made with, so that runs of another state are not taken for those of this one."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

PACKAGES = ("nirbridge", "nirbridge_events", "nirbridge_norse")
FILES = ("training.py", "residual.py", "converting.py", "digit_graph.py")
"""What of this package computes numbers; the rest only asks for them and writes them down."""


@lru_cache(maxsize=1)
def code_digest() -> str:
    """A digest of all Python sources that a run's numbers depend on, as they are when it is first asked for."""
    here = Path(__file__).parent
    examples = here.parents[1] / "examples"
    paths = [here / name for name in FILES] + [examples / "train_data.py"]
    paths += sorted((examples / "training").glob("*.py"))
    for package in PACKAGES:
        spec = find_spec(package)
        for folder in spec.submodule_search_locations or () if spec else ():
            paths += sorted(Path(folder).rglob("*.py"))
    found = hashlib.sha256()
    for path in paths:
        found.update(path.name.encode() + b"\0" + path.read_bytes())
    return found.hexdigest()[:12]
