"""Which tests run in one worker of ``make test``, in what order, and which ``make test-fast`` leaves out."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

LAVA = re.compile(
    r"tests/lava/|(?!tests/conformance/test_nir_paper).*::.*lava"
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

LIGHT = re.compile(
    r"tests/(cli|lava)/"
    r"|tests/checking/test_times"
    r"|tests/conformance/test_(conformance|fixed_conformance|random_graphs)"
    r"|tests/ir/test_(edges|mixed_shapes|names)"
    r"|tests/own_neuron/test_own_neuron"
    r"|tests/passes/test_integrators_and_resets"
    r"|tests/quantizing/test_(agreement|random_graphs)"
    r"|tests/runtime/test_(analysed_once|host|program|states|turns)"
)
"""Files that import no torch, nor do the conftest.py of their folders. Lava forks a dozen processes for a network, and
a fork of a process without torch costs a fifth of the time, so the tests of Lava here run in a worker that imports
nothing else."""

IMPORTS_TORCH = re.compile(
    r"tests/cli/test_cli_(chain|precision|quantize|runtime_options)"
    r"|tests/ir/test_mixed_shapes"
    r"|tests/quantizing/"
    r"|tests/runtime/test_host\.py::test_inside_a_graph"
)
"""Node ids of tests of Lava in these files that run the Norse runtime, too. They come last: torch stays once it is
there."""

LIGHT_FOLDERS = {"checking", "cli", "conformance", "ir", "lava", "own_neuron", "passes", "quantizing", "runtime"}
"""Where they are."""

LAVA_WORKER = "lava"
"""The worker of these tests, if it is there: ``--tx popen//id=lava``."""

TOGETHER = {
    "tests/conformance/test_authors_kit.py": "plugin",
    "tests/conformance/test_live_exports.py": "exports",
    "tests/quantizing/test_accuracy.py": "accuracy",
}
"""Files whose tests share something that takes long to make, by the name of their group."""

TRAINED = re.compile(
    r"tests/converting/test_(digits\.py|report\.py::test_errors_are|bad_input\.py::test_enough_phases)"
    r"|tests/converting/test_one_spike_exact\.py::test_(mlp_layer|a_shorter_wait)"
)
"""Node ids of tests with a network that tests/converting/conftest.py trains."""


def group_of(nodeid: str) -> str | None:
    """The group of a test, whose tests run one after the other in one worker, or None where it may run anywhere.

    Lava's processes are many and have deadlines: two tests at once would disturb each other.
    """
    if LAVA.match(nodeid):
        return "lava" if LIGHT.match(nodeid) else "lava and torch"
    return "trained" if TRAINED.match(nodeid) else TOGETHER.get(nodeid.partition("::")[0])


LONG = (
    "tests/benchmarks/test_results.py::test_end_to_end",
    "tests/training/test_train_example.py::test_two_processes_resume",
    "tests/benchmarks/test_results.py::test_trials_in_small",
    "tests/training/test_train_example.py::test_two_processes_train",
)
"""How node ids of tests begin that take many seconds: those of one beginning are handed out before all others."""

CLOCK = (
    "tests/events/test_live",
    "tests/events/test_event_commands",
    "tests/test_tutorials.py::test_what_a_page_runs_prints_what_it_shows[live",
)
"""How node ids begin of tests that compare with the clock: they wait until those of Lava have mostly ended."""


def unit_of(nodeid: str) -> str:
    """The name of what is handed to a worker as one: a group, a long test, or a file."""
    long = next(filter(nodeid.startswith, LONG), None)
    return group_of(nodeid) or long or nodeid.partition("::")[0]


def place_in_order(nodeid: str) -> tuple[int, bool]:
    """Sorts tests: long ones and groups come first, quick ones last, so that no worker ends long after the others.

    In the group of Lava those come last that import torch.
    """
    for place, begin in enumerate(LONG):
        if nodeid.startswith(begin):
            return place, False
    if group_of(nodeid) is not None:
        return len(LONG), IMPORTS_TORCH.match(nodeid) is not None
    late = 2 if nodeid.startswith(CLOCK) else 1 if SLOW.match(nodeid) else 3
    return len(LONG) + late, False


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
    r"|tests/(own_neuron|workers)/"
    r"|tests/plotting/test_picture_files"
    r"|tests/quantizing/test_(accuracy|agreement|random_graphs|rounding\.py::test_every_node)"
    r"|tests/runtime/test_turns\.py::test_forks"
    r"|tests/test_(docs\.py::test_code|tutorials\.py::test_what|grouping\.py::test_light)"
    r"|tests/test_(files\.py::test_many_writers|imports|needed_nir)"
)
"""Node ids of tests that train, start processes, wait for clocks, or go through dozens of networks or files."""


def is_slow(nodeid: str) -> bool:
    """Whether a test is left out of the edit loop."""
    return group_of(nodeid) in ("lava", "lava and torch", "trained") or SLOW.match(nodeid) is not None


def all_slow(file: str) -> bool:
    """Whether the edit loop needs no test of a file, so that it need not be imported."""
    return file.startswith("tests/lava/") or SLOW.match(f"{file}::") is not None


def of_lava(path: str) -> bool:
    """Whether the worker of Lava looks into a file or folder, given relative to the root."""
    if path.endswith(".py"):
        return LIGHT.match(path) is not None
    folders = Path(path).parts[1:2]
    return not folders or folders[0] in LIGHT_FOLDERS


class LavaForks:
    """Counts the processes that Lava has started from this one."""

    def __init__(self) -> None:
        self.count = 0
        os.register_at_fork(before=self._note)

    def _note(self) -> None:
        forking = sys.modules.get("nirbridge_lava.forking")
        self.count += forking is not None and forking._FORKS.thread != 0
