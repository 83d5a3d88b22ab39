"""Colours that people with any kind of colour vision tell apart.

Source: Okabe and Ito, Color Universal Design, 2008.
"""

from __future__ import annotations

BLUE, ORANGE, GREEN, PINK, SKY, RED = "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00"
INK, GREY, PALE = "#1b1b1b", "#6b6b6b", "#c4c4c4"
"""Text, what lies behind the data, and what matters least."""
CYCLE = (BLUE, ORANGE, GREEN, PINK, SKY, RED)
"""Of things without an order."""
RISING = ("#5ab4d6", "#2166ac", "#e08214", "#b30068", "#4d004b", "#000000")
"""Of levels above 0, the lowest first: each is darker or warmer than the one before."""
FALLING = ("#8fbc5a", "#3d8b37", "#0b4f1c")
"""Of levels below 0, the nearest to 0 first."""
