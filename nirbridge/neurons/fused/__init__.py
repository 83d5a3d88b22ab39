"""All steps of a neuron in one sweep over memory, forward and backward, on the CPU with numba.

Without numba, on another device, and inside ``stepwise()``, neurons step with torch operations instead. Outputs are
the same to the last bit; gradients are the same but for the order of sums.
"""

from nirbridge.neurons.fused.function import run_fused
from nirbridge.neurons.fused.rules import OneHotRule, Rule, StraightRule, UniformRule
from nirbridge.neurons.fused.switch import is_fusable, stepwise

__all__ = ["OneHotRule", "Rule", "StraightRule", "UniformRule", "is_fusable", "run_fused", "stepwise"]
