"""The cases ship with the package, see :mod:`nirbridge.conformance.integer_cases`."""

from nirbridge.conformance.integer_cases import DT, INTEGER_CASES, STATE, data, leaky, whole

__all__ = ["DT", "INTEGER_CASES", "STATE", "data", "leaky", "whole"]
