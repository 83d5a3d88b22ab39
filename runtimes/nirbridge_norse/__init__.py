"""The Norse runtime: torch on CPU or CUDA, neurons in Norse's conventions, time folded into the batch.

The runtime object needs neither torch nor Norse; compiling a graph loads both.
"""

from nirbridge_norse.runtime import RUNTIME

__all__ = ["RUNTIME"]
