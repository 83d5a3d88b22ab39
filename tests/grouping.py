"""Which tests run in one worker of ``pytest -n``, and which ``make test-fast`` leaves out."""

from __future__ import annotations

import os
import re
import sys

import pytest

LAVA = re.compile(
    r"tests/lava/|.*::.*lava"
    r"|tests/cli/test_cli_chain\.py::test_the_commands_of_the_readme"
    r"|tests/cli/test_cli_precision\.py::test_a_quantised_file"
    r"|tests/cli/test_cli_runtime_options\.py::test_compare_hands_each"
    r"|tests/cli/test_cli_quantize\.py::test_quantised_graphs_are_compared"
    r"|tests/demo/test_demo\.py::test_the_demo"
    r"|tests/ir/test_mixed_shapes\.py::test_mixed_shapes_mean"
    r"|tests/networks/test_networks\.py::test_(network_agrees|blocks_agree|large_inputs|text_gcn_against)"
    r"|tests/own_neuron/test_own_neuron\.py::test_commands"
    r"|tests/quantizing/test_agreement\.py::test_no_mismatch.*-8\]"
    r"|tests/runtime/test_host\.py::test_inside_a_graph"
)
"""Node ids of tests that start Lava's processes."""

TOGETHER = {
    "tests/conformance/test_authors_kit.py": "plugin",
    "tests/conformance/test_live_exports.py": "exports",
    "tests/quantizing/test_accuracy.py": "accuracy",
    "tests/training/test_train_example.py": "train.py",
}
"""Files whose tests share something that takes long to make, or take long themselves; groups are begun first."""

TRAINED = {"mlp", "pre_resnet", "cnn"}
"""Fixtures that train a network."""


def group_of(item: pytest.Item) -> str | None:
    """The worker group of a test, or None where it may run anywhere.

    Lava's processes are many, have deadlines, and their shared memory is counted: two tests at once would disturb each
    other.
    """
    if LAVA.match(item.nodeid):
        return "lava"
    if TRAINED & set(getattr(item, "fixturenames", ())):
        return "trained"
    return TOGETHER.get(item.nodeid.partition("::")[0])


SLOW = re.compile(
    r"tests/(benchmarks|demo|examples|training)/"
    r"|tests/cli/test_cli_(program|streams|run\.py::test_as_a_process)"
    r"|tests/conformance/test_(authors_kit|fixed_conformance|live_exports|random_graphs)"
    r"|tests/converting/test_(digits|graph_networks|networks|option_a|random_networks|report|signed_pairs)"
    r"|tests/events/test_(bad_recordings|datasets|event_commands|live|pictures|readers_memory|viewing)"
    r"|tests/expanding/test_(random_graphs|expand\.py::test_same_values)"
    r"|tests/costing/test_(energy_command|frontier)"
    r"|tests/exporting/test_(export_command|random_networks|refusals\.py::test_compiled)"
    r"|tests/ir/test_(fuzzing|names\.py::test_any|round_trip|stated_shapes\.py::test_random)"
    r"|tests/networks/test_(networks\.py::test_a_sparse|transformer)"
    r"|tests/neurons/test_neurons_train"
    r"|tests/own_neuron/"
    r"|tests/quantizing/test_(accuracy|agreement|random_graphs|rounding\.py::test_every_node)"
    r"|tests/runtime/test_turns\.py::test_forks"
    r"|tests/test_(docs\.py::test_code|files\.py::test_many_writers|imports|needed_nir|workers)"
)
"""Node ids of tests that train, start processes, wait for clocks, or go through dozens of networks or files."""


def is_slow(item: pytest.Item) -> bool:
    """Whether a test is left out of the edit loop."""
    return group_of(item) in ("lava", "trained") or SLOW.match(item.nodeid) is not None


def all_slow(file: str) -> bool:
    """Whether the edit loop needs no test of a file, so that it need not be imported."""
    return file.startswith("tests/lava/") or SLOW.match(f"{file}::") is not None


class LavaForks:
    """Counts the processes that Lava has started from this one."""

    def __init__(self) -> None:
        self.count = 0
        os.register_at_fork(before=self._note)

    def _note(self) -> None:
        forking = sys.modules.get("nirbridge_lava.forking")
        self.count += forking is not None and forking._FORKS.thread != 0
