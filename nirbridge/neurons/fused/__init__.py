"""All steps of a neuron in one sweep over memory, forward and backward: on the CPU with numba, on CUDA with Triton.

Without them, on another device, and inside ``stepwise()``, neurons step with torch operations instead. For the same
currents outputs are the same to the last bit; gradients, and LM-HT's mixing of the steps, are the same but for the
order of sums.

Runtimes have passes of their own, which share nothing with these but the equations: they work in place, carry states
from call to call and take any lanes for any neuron, where these keep the inputs, need shared parameters, and go back.
"""

from nirbridge.neurons.fused.function import run_fused
from nirbridge.neurons.fused.rules import OneHotRule, Rule, StraightRule, UniformRule
from nirbridge.neurons.fused.switch import is_fusable, stepwise

__all__ = ["OneHotRule", "Rule", "StraightRule", "UniformRule", "is_fusable", "run_fused", "stepwise"]
