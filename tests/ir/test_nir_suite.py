"""NIR's own test suite with ``nir.read`` and ``nir.write`` replaced by nirbridge's.

It runs where ``NIR_SOURCE`` names a folder with NIR's sources: an unpacked ``pip download --no-binary :all: nir``, or a
clone of its repository, whose ``paper`` one of the tests reads too.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

_PLUGIN = """
import nir, nirbridge
nir.read = lambda file, type_check=True: nirbridge.read(file)
nir.write = nirbridge.write
"""


def test_all_of_it_passes(tmp_path: Path) -> None:
    source = Path(os.environ.get("NIR_SOURCE", ""))
    if not os.environ.get("NIR_SOURCE") or not (source / "tests" / "test_readwrite.py").is_file():
        pytest.skip("NIR_SOURCE names no folder with NIR's tests")
    (tmp_path / "through_nirbridge.py").write_text(_PLUGIN)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "through_nirbridge", "-p", "no:cacheprovider", "tests"]
    if not (source / "paper").is_dir():
        command += ["--deselect", "tests/test_readwrite.py::test_deserialize"]
    paths = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": paths, "PYTEST_ADDOPTS": ""}
    done = subprocess.run(command, cwd=source, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None
    assert int(passed[1]) >= 60
