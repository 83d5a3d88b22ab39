"""What ``tests/grouping.py`` says of other tests is so."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.grouping import LAVA_WORKER, LONG, group_of, place_in_order, unit_of

COLLECT = """
import sys, pytest
assert pytest.main(["--collect-only", "-q", "-p", "no:cacheprovider"]) == 0
assert "torch" not in sys.modules, "a file of LIGHT, or the conftest.py beside it, imports torch"
"""


def test_light_files_import_no_torch() -> None:
    environment = {**os.environ, "PYTEST_XDIST_WORKER": LAVA_WORKER}
    done = subprocess.run([sys.executable, "-c", COLLECT], capture_output=True, text=True, timeout=120, env=environment)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    assert "tests/lava/test_lava_nodes.py::test_every_core_neuron" in done.stdout


def test_long_tests_and_groups_are_handed_out_first() -> None:
    node, graph = "tests/lava/test_lava_nodes.py::test_every_core_neuron", "tests/ir/test_graphs.py::test_a[1]"
    assert (group_of(node), group_of(graph)) == ("lava", None)
    assert [unit_of(f"{LONG[0]}_in_small"), unit_of(node), unit_of(graph)] == [
        LONG[0],
        "lava",
        "tests/ir/test_graphs.py",
    ]
    late = "tests/quantizing/test_agreement.py::test_no_mismatch_in_spikes_and_membranes[core-8]"
    assert unit_of(late) == "lava"
    live = "tests/events/test_live.py::test_a"
    order = [LONG[0], LONG[1], node, late, "tests/demo/test_demo.py::test_a", live, graph]
    mixed = [order[k] for k in (4, 3, 0, 6, 2, 5, 1)]
    assert sorted(mixed, key=place_in_order) == order


def test_a_test_that_ends_its_process_fails_alone(tmp_path: Path) -> None:
    """The tests that its worker had yet to run, run in another."""
    root = Path(__file__).parent.parent
    (tmp_path / "conftest.py").write_text(
        "from tests.scheduling import GroupScheduling\n"
        "def pytest_xdist_make_scheduler(config, log):\n"
        "    return GroupScheduling(config, log)\n"
    )
    quiet = "def test_before(): pass\n"
    (tmp_path / "test_done.py").write_text(quiet)
    (tmp_path / "test_ends.py").write_text(
        f"import os\n{quiet}def test_ends(): os._exit(3)\ndef test_after(): pass\ndef test_last(): pass\n"
    )
    for workers in ("1*popen", "2*popen"):
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--dist", "loadgroup"]
        done = subprocess.run(
            [*command, "--tx", workers, "--rootdir", str(tmp_path), "test_done.py", "test_ends.py"],
            capture_output=True,
            text=True,
            timeout=120,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(root), "PYTEST_ADDOPTS": ""},
        )
        assert "1 failed, 4 passed" in done.stdout, done.stdout[-2000:] + done.stderr[-2000:]
        assert "crashed while running 'test_ends.py::test_ends'" in done.stdout
