"""Networks drawn at random: converted with a code so fine that only a mistake leaves an error, or refused by name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from nirbridge.converting import measure
from nirbridge.errors import ExportError
from tests.converting.networks import with_statistics
from tests.converting.published import convert_in_full
from tests.converting.random_networks import RandomNetwork

_REFUSALS = ("takes the largest of values that may be negative",)


def attempt(seed: int, **options: Any) -> float | None:
    """The relative error of the output; None where the network is refused."""
    torch.manual_seed(seed)
    net = with_statistics(RandomNetwork(seed), seed, negative=bool(seed % 2)).double()
    generator = np.random.default_rng(seed)
    x = generator.standard_normal((3, 2, 8, 8)) if seed % 3 else generator.random((3, 2, 8, 8))
    try:
        conversion = convert_in_full(net, x, phases=150, base=1.025, **options)
    except ExportError as error:
        assert all(any(known in str(problem) for known in _REFUSALS) for problem in error.problems)
        return None
    return measure(conversion, x).output_error


@pytest.mark.parametrize("options", [{}, {"bn": "weights", "first_phase": 0, "averages": "linear"}])
def test_random_networks(options: dict[str, Any]) -> None:
    errors = [attempt(seed, **options) for seed in range(18)]
    converted = [error for error in errors if error is not None]
    assert len(converted) > 8
    assert max(converted) < 0.04
