"""The cases ship with the package, see :mod:`nirbridge.conformance.integer_cases`."""

from nirbridge.conformance.integer_cases import INTEGER_CASES, data
from nirbridge.primitives.examples import INTEGER_DT as DT
from nirbridge.primitives.examples import leaky
from nirbridge.primitives.examples import whole_numbers as whole
from nirbridge.primitives.integers import STATE_LIMIT as STATE

__all__ = ["DT", "INTEGER_CASES", "STATE", "data", "leaky", "whole"]
