"""``examples/`` on the path, and its loader of data sets."""

from __future__ import annotations

import sys

import pytest

from tests.training.programs import EXAMPLES


@pytest.fixture(scope="module", autouse=True)
def _examples_are_found():
    sys.path.insert(0, str(EXAMPLES))
    yield
    sys.path.remove(str(EXAMPLES))


@pytest.fixture(scope="module")
def load():
    """``train_data.load``."""
    import train_data

    return train_data.load
