"""What ``tests/grouping.py`` says of other tests is so."""

from __future__ import annotations

import os
import subprocess
import sys

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
