"""Numbers as people read them."""

from __future__ import annotations

import pytest

from nirbridge.reports import rate_text, seconds_text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.9999, "1.00 s"), (0.9994, "999 ms"), (0.99996e-3, "1 ms"), (99.4, "99.40 s"), (0, "0 us")]
)
def test_durations_go_to_the_next_unit_as_they_are_shown(seconds: float, text: str) -> None:
    assert seconds_text(seconds) == text


@pytest.mark.parametrize(("rate", "text"), [(999_900, "1 Mev/s"), (999.9, "1 kev/s"), (999_400, "999 kev/s")])
def test_rates_go_to_the_next_unit_as_they_are_shown(rate: float, text: str) -> None:
    assert rate_text(rate) == text
