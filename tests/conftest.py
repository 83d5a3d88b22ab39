"""Fixtures that every test folder shares."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

# Before torch is imported: its threads spin while they wait, so the workers of ``pytest -n`` would take the cores from
# each other. The processes that tests start inherit it.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ["OMP_NUM_THREADS"] = "1"

import torch

from tests.grouping import LavaForks, all_slow, group_of, is_slow

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"

# A shell that starts the tests in the background ignores Ctrl-C for them, and every process that they start would
# inherit that; the tests of Ctrl-C need its usual effect.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


LAVA_FORKS = LavaForks()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "xdist_group(name): tests of one name run in one worker, one after the other")
    config.addinivalue_line("markers", "slow: left out by `make test-fast`; tests/grouping.py says which and why")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """In the edit loop, files of slow tests are not even imported."""
    loop = config.option.markexpr == "not slow" and collection_path.suffix == ".py"
    return True if loop and all_slow(os.path.relpath(collection_path, config.rootpath)) else None


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups in its own hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if (group := group_of(item)) is not None:
            item.add_marker(pytest.mark.xdist_group(group))
        if is_slow(item):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(autouse=True)
def lava_stays_in_its_group(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test that starts Lava's processes belongs to their group, or it might run beside another that does."""
    LAVA_FORKS.count = 0
    yield
    if LAVA_FORKS.count and group_of(request.node) != "lava":
        pytest.fail("starts Lava's processes: add it to LAVA in tests/grouping.py", pytrace=False)


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
