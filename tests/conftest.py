"""Fixtures that every test folder shares."""

import signal
from pathlib import Path

import numpy as np
import pytest
import torch

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"

# A shell that starts the tests in the background ignores Ctrl-C for them, and every process that they start would
# inherit that; the tests of Ctrl-C need its usual effect.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Random numbers do not depend on which tests ran before, nor on what test files drew when they were imported."""
    torch.manual_seed(0)
    np.random.seed(0)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of third-party recordings and graphs; the test skips where it is not there."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"no third-party data at {SHARED_DATA}")
    return SHARED_DATA
