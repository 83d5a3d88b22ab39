"""What Python 3.10 takes and a later one does not.

The whole suite runs there by ``make test PYTHON=python3.13 VENV=.venv-3.13``; this is what can be seen from 3.10.
"""

from __future__ import annotations

import subprocess
import sys

WALK = """
import dataclasses, importlib, pkgutil, sys
seen = refused = 0
for package in ("nirbridge", "nirbridge_reference", "nirbridge_norse", "nirbridge_lava", "nirbridge_events"):
    found = importlib.import_module(package)
    for module in pkgutil.walk_packages(found.__path__, package + ".", onerror=lambda name: None):
        if module.name.endswith("__main__"):
            continue
        try:
            classes = list(vars(importlib.import_module(module.name)).values())
        except ImportError:  # of an extra that is not installed
            continue
        for kind in classes:
            if isinstance(kind, type) and dataclasses.is_dataclass(kind) and kind.__module__ == module.name:
                seen += 1
                for field in dataclasses.fields(kind):
                    if field.default is not dataclasses.MISSING and type(field.default).__hash__ is None:
                        print(f"{module.name}.{kind.__name__}.{field.name}: {type(field.default).__name__}")
print(seen, file=sys.stderr)
"""


def test_no_default_of_a_dataclass_is_refused() -> None:
    """From 3.11 on, one that has no hash, as an array, ends the import."""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", WALK], capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert int(done.stderr.split()[-1]) > 200, "it saw the dataclasses of all packages"
