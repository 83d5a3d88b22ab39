"""Conversion as published, λ the largest activation and biases as they are: what equations of the paper judge."""

from __future__ import annotations

from typing import Any

from nirbridge import converting
from nirbridge.converting import Conversion


def convert_in_full(ann: Any, data: Any, method: str = "one-spike", **options: Any) -> Conversion:
    """The library's own, with the paper's calibration."""
    if method == "one-spike":
        options = {"calibrate": "paper", **options}
    return converting.convert_in_full(ann, data, method, **options)
