"""The loader of data sets in ``examples/``."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="module")
def load():
    """``train_data.load``."""
    import train_data

    return train_data.load
