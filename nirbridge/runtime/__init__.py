"""The protocol between graphs and runtimes: plan, program, lowering table, discovery."""

from nirbridge.ir import Source
from nirbridge.runtime.compiling import compile
from nirbridge.runtime.data import Array, Data
from nirbridge.runtime.discovery import find_runtime, runtime_names, runtimes, streaming_options, usable_runtime
from nirbridge.runtime.float_bounds import below_single, beyond_single
from nirbridge.runtime.lowering import LoweringTable
from nirbridge.runtime.messages import entering_exponents, message_cost, sent_exponents
from nirbridge.runtime.options import require_option, require_seconds
from nirbridge.runtime.plan import RESETS, Plan, PlannedNode, make_plan
from nirbridge.runtime.problems import check
from nirbridge.runtime.program import Program
from nirbridge.runtime.protocol import Availability, Runtime, make_program
from nirbridge.runtime.recording import MEMBRANE, Recording, membrane_of
from nirbridge.runtime.spikes import sends_spikes
from nirbridge.runtime.states import State, state_shapes
from nirbridge.runtime.step_note import step_note
from nirbridge.runtime.support import fixed_problems, support_problems

__all__ = [
    "MEMBRANE",
    "RESETS",
    "Array",
    "Availability",
    "Data",
    "LoweringTable",
    "Plan",
    "PlannedNode",
    "Program",
    "Recording",
    "Runtime",
    "Source",
    "State",
    "below_single",
    "beyond_single",
    "check",
    "compile",
    "entering_exponents",
    "find_runtime",
    "fixed_problems",
    "make_plan",
    "make_program",
    "membrane_of",
    "message_cost",
    "require_option",
    "require_seconds",
    "runtime_names",
    "runtimes",
    "sends_spikes",
    "sent_exponents",
    "state_shapes",
    "step_note",
    "streaming_options",
    "support_problems",
    "usable_runtime",
]
