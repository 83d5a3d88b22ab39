"""A staircase's table against a search, at its limits, right beside them and far away."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nirbridge.converting.coding import Code
from nirbridge.converting.staircase import staircase

CODES = [
    Code(2.0, 4),
    Code(1.2, 16),
    Code(1.2, 16, rounding=False),
    Code(1.01, 24),
    Code(1.3, 6, first_phase=-2),
    Code(3.0, 40),
    Code(1.5, 12, spikes=2),
    Code(1.28, 16, spikes=4),  # steps narrower than float32 knows
    Code(2.0, 1),
]


def _values(limits: torch.Tensor) -> torch.Tensor:
    zero, far = torch.zeros_like(limits), torch.full_like(limits, torch.inf)
    odd = torch.tensor([0.0, -0.0, -1.0, -torch.inf, torch.inf, 1e-40, -1e-40, 1e30], dtype=limits.dtype)
    random = torch.rand(70_001, dtype=limits.dtype, generator=torch.Generator().manual_seed(0)) * limits[-1] * 1.2
    return torch.cat([limits, torch.nextafter(limits, zero), torch.nextafter(limits, far), -limits, odd, random])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("code", CODES, ids=str)
def test_a_code_sends_the_step_that_a_search_finds(code: Code, dtype: torch.dtype) -> None:
    limits, values = torch.tensor(code.limits, dtype=dtype), torch.tensor(code.values, dtype=dtype)
    a = _values(limits)
    expected = values[np.searchsorted(limits.numpy(), a.numpy(), side="right")]
    assert torch.equal(code(a), expected)
    assert torch.equal(code(a[None, :60, None].expand(2, -1, 3)), expected[None, :60, None].expand(2, -1, 3))


def test_limits_that_no_table_holds_are_searched() -> None:
    limits = torch.tensor([1.0, 1.0 + 2**-22, 2.0**30])
    steps = staircase(limits, torch.arange(4.0))
    assert steps.table is None
    assert steps(torch.tensor([0.5, 1.0, 1.0 + 2**-23, 1.0 + 2**-22, 2.0**31])).tolist() == [0, 1, 1, 2, 3]


def test_the_codes_of_calibration_have_a_table() -> None:
    for code in CODES[:6]:
        made = staircase(torch.tensor(code.limits, dtype=torch.float32), torch.tensor(code.values, dtype=torch.float32))
        assert made.table is not None
