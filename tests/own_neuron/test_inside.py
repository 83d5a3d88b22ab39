"""A neuron inside of nirbridge is its file and its name in one list: tried on a copy of the code."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

_JUDGE = """
from nirbridge.conformance import judge
from nirbridge.conformance.cases import all_cases
from nirbridge.ir import PRIMITIVES, spec_of
from nirbridge_norse.fused.generating import module_source

assert "AdaptiveLIF" in PRIMITIVES
assert "def run_adaptive_lif(" in module_source()
own = [case for case in all_cases() if any(kind.__name__ == "AdaptiveLIF" for kind in case.kinds)]
states = {(runtime, judge(case, runtime).state) for case in own for runtime in ("reference", "norse")}
print(len(own), sorted(states))
"""


def test_two_files_make_a_primitive(tmp_path: Path) -> None:
    for folder in ("nirbridge", "runtimes"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    primitives = tmp_path / "nirbridge" / "primitives"
    shutil.copy(ROOT / "examples" / "own_neuron" / "adaptive_lif.py", primitives)
    source = (primitives / "adaptive_lif.py").read_text()
    assert "from nirbridge.primitives import" in source
    source = source.replace("from nirbridge.primitives import BINARY, Array, Fires, Neuron, neuron_spec", _INSIDE)
    (primitives / "adaptive_lif.py").write_text(source)
    listed = (primitives / "__init__.py").read_text()
    listed = listed.replace("    quantize.SPEC,\n", "    quantize.SPEC,\n    adaptive_lif.SPEC,\n")
    listed = listed.replace("    affine,\n", "    adaptive_lif,\n    affine,\n")
    (primitives / "__init__.py").write_text(listed)
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{tmp_path / 'runtimes'}"}
    environment["XDG_CACHE_HOME"] = environment["NUMBA_CACHE_DIR"] = str(tmp_path / "cache")
    command = [sys.executable, "-c", _JUDGE]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=240, env=environment, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "5 [('norse', 'exact'), ('reference', 'exact')]\n"


_INSIDE = """from nirbridge.primitives.fields import Neuron
from nirbridge.primitives.own import neuron_spec
from nirbridge.primitives.spec import BINARY, Array, Fires"""
