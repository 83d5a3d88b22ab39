"""What importing costs, and who may import whom at run time."""

from __future__ import annotations

import subprocess
import sys
from graphlib import TopologicalSorter

import grimp
import pytest

PACKAGES = ("nirbridge", "nirbridge_reference", "nirbridge_norse", "nirbridge_lava", "nirbridge_events")


def _modules_after(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    return set(
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    )


def test_importing_nirbridge_is_free() -> None:
    loaded = _modules_after("import nirbridge")
    assert not loaded & {"torch", "nir", "numpy", "h5py", "click", "lava", "norse"}


@pytest.mark.parametrize(
    "module",
    [
        "nirbridge.ir",
        "nirbridge.runtime",
        "nirbridge_reference",
        "nirbridge_norse",
        "nirbridge_lava",
    ],
)
def test_light_modules_load_no_torch(module: str) -> None:
    assert not _modules_after(f"import {module}") & {"torch", "lava", "norse", "numba"}


def test_public_names_exist() -> None:
    import nirbridge

    for name in nirbridge.__all__:
        assert getattr(nirbridge, name)


def test_no_file_imports_itself_through_others() -> None:
    """Neither at run time, nor lazily in a function, nor for type checking alone."""
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    TopologicalSorter(imports).prepare()  # a CycleError names the files of a circle


@pytest.mark.parametrize("first", ["nirbridge_norse.norse_base", "norse.torch"])
def test_programs_on_norse_load_one_file_of_it(first: str) -> None:
    code = (
        f"import sys, pickle, {first}; from nirbridge_norse.norse_base import SNN; import nirbridge_norse.program;"
        "early = 'matplotlib' in sys.modules;"
        "import norse.torch.module.snn as snn, norse;"
        "assert norse.torch.module.snn.SNN is SNN is snn.SNN is pickle.loads(pickle.dumps(SNN));"
        "assert issubclass(norse.torch.LIF, snn.SNN); print(early)"
    )
    found = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == str(first == "norse.torch")
