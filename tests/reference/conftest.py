"""Random numbers of a test do not depend on which tests ran before it."""

from __future__ import annotations

import copy
from types import ModuleType

import pytest

_BEGINNINGS: dict[str, dict[str, object]] = {}


@pytest.fixture(autouse=True)
def numbers_from_the_beginning(request: pytest.FixtureRequest) -> None:
    """A module's generator stands where it stood when the module had been imported."""
    module = request.module
    if isinstance(module, ModuleType) and hasattr(module, "RNG"):
        generator = module.RNG.bit_generator
        generator.state = copy.deepcopy(_BEGINNINGS.setdefault(module.__name__, copy.deepcopy(generator.state)))
