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
    r"|tests/cli/test_cli_quantize\.py::test_quantised_graphs_are_compared"
    r"|tests/demo/test_demo\.py::test_the_demo"
    r"|tests/ir/test_mixed_shapes\.py::test_mixed_shapes_mean"
    r"|tests/networks/test_networks\.py::test_(network_agrees|blocks_agree|large_inputs)"
    r"|tests/quantizing/test_agreement\.py::test_no_mismatch.*-8\]"
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
    r"tests/(benchmarks|examples|training|converting/test_digits)"
    r"|tests/conformance/test_(random_graphs|live_exports|authors_kit)"
    r"|tests/events/test_(bad_recordings|live|pictures)"
)
"""Node ids of tests that train, start processes by the dozen, or go through hundreds of files or graphs."""


def is_slow(item: pytest.Item) -> bool:
    """Whether a test is left out of the edit loop."""
    return group_of(item) in ("lava", "trained") or SLOW.match(item.nodeid) is not None


class LavaForks:
    """Counts the processes that Lava has started from this one."""

    def __init__(self) -> None:
        self.count = 0
        os.register_at_fork(before=self._note)

    def _note(self) -> None:
        forking = sys.modules.get("nirbridge_lava.forking")
        self.count += forking is not None and forking._FORKS.thread != 0
