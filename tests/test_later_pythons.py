"""What Python 3.10 takes and a later one does not.

The whole suite runs there by ``make test PYTHON=python3.13 VENV=.venv-3.13``; this is what can be seen from 3.10.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

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


FIND = Path(__file__).resolve().parents[1] / "tools" / "find-python"


def find(folder: Path, python: str) -> subprocess.CompletedProcess[str]:
    """What ``make`` takes for PYTHON where pyenv keeps 3.13, whose shim answers in other folders alone, and 3.9."""
    shims = {"python3.13": "exit 127", "python3.9": "exit 1", "pyenv": f"echo {folder}"}
    kept = {f"versions/{version}/bin/python": "exit 0" for version in ("3.13.0", "3.131.0")}
    for name, body in {**{f"shims/{name}": body for name, body in shims.items()}, **kept}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"#!/bin/sh\n{body}\n")
        (folder / name).chmod(0o755)
    env = {"PATH": f"{folder / 'shims'}:{os.defpath}", "PYTHON": python}
    return subprocess.run(["bash", str(FIND)], capture_output=True, text=True, env=env, timeout=60)


def test_make_finds_the_python_that_is_named(tmp_path: Path) -> None:
    done = find(tmp_path, "python3.13")
    assert (done.stdout, done.returncode) == (f"{tmp_path}/versions/3.13.0/bin/python\n", 0), done.stderr
    assert find(tmp_path, sys.executable).stdout == f"{sys.executable}\n"


@pytest.mark.parametrize("python", ["python3.9", "python3.99", "/nowhere/python"])
def test_make_refuses_a_python_that_is_not_there(tmp_path: Path, python: str) -> None:
    done = find(tmp_path, python)
    assert done.returncode == 1
    assert done.stderr.startswith(f"PYTHON={python}: not found, not to be run, or older than 3.10. Give the path of a ")
    assert done.stderr.count("\n") == 1
