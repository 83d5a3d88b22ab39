"""Fixtures that every test folder shares."""

import gc
import os
import signal
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

# Before torch is imported: its threads spin while they wait, so the workers of ``pytest -n`` would take the cores from
# each other. The processes that tests start inherit it. Torch is not imported here: LIGHT tests go without it.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ["OMP_NUM_THREADS"] = "1"

from nirbridge.errors import RuntimeUnavailableError
from tests.grouping import IMPORTS_TORCH, LAVA, LAVA_WORKER, LavaForks, all_slow, is_slow, of_lava

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"

# A shell that starts the tests in the background ignores Ctrl-C for them, and every process that they start would
# inherit that; the tests of Ctrl-C need its usual effect.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


LAVA_FORKS = LavaForks()
OF_LAVA = os.environ.get("PYTEST_XDIST_WORKER") == LAVA_WORKER


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "slow: left out by `make test-fast`; tests/grouping.py says which and why")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> object:
    """Of ``--dist loadgroup``, whose own way to tell groups apart needs a pytest before 9.2."""
    if config.getvalue("dist") != "loadgroup":
        return None
    from tests.scheduling import GroupScheduling

    return GroupScheduling(config, log)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """In the edit loop, files of slow tests are not even imported; nor are others in the worker of Lava."""
    path = os.path.relpath(collection_path, config.rootpath)
    loop = config.option.markexpr == "not slow" and path.endswith(".py")
    return True if (loop and all_slow(path)) or (OF_LAVA and not of_lava(path)) else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if OF_LAVA:
        items[:] = [item for item in items if LAVA.match(item.nodeid)]
    for item in items:
        if is_slow(item.nodeid):
            item.add_marker(pytest.mark.slow)


def pytest_collection_finish() -> None:
    """What is there now stays to the end; the collector of garbage need not go through it with every test."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """A runtime that is not installed, as Lava on Python 3.11, is no failure; the reason says what it lacks."""
    try:
        return (yield)
    except RuntimeUnavailableError as error:
        if all(map(find_spec, ("lava", "norse"))):
            raise
        pytest.skip(f"{item.name} wants {error}")


@pytest.fixture(autouse=True)
def lava_stays_in_its_group(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test that starts Lava's processes belongs to their group, or it might run beside another that does."""
    LAVA_FORKS.count = 0
    yield
    if LAVA_FORKS.count and not LAVA.match(request.node.nodeid):
        pytest.fail("starts Lava's processes: add it to LAVA in tests/grouping.py", pytrace=False)
    if OF_LAVA and "torch" in sys.modules and not IMPORTS_TORCH.match(request.node.nodeid):
        pytest.fail("imports torch: add it to IMPORTS_TORCH in tests/grouping.py", pytrace=False)


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Random numbers do not depend on which tests ran before, nor on what test files drew when they were imported."""
    np.random.seed(0)
    if not OF_LAVA or "torch" in sys.modules:
        import torch

        torch.default_generator.manual_seed(0)  # torch.manual_seed reads a traceback for each kind of card


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of third-party recordings and graphs; the test skips where it is not there."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"no third-party data at {SHARED_DATA}")
    return SHARED_DATA
