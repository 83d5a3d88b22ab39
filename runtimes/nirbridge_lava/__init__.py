"""The Lava runtime: Loihi-style execution, one Lava Process per node, on Lava's CPU simulator.

Importing it loads neither lava nor its dependencies; they come with the first program.
"""

from nirbridge_lava.runtime import RUNTIME

__all__ = ["RUNTIME"]
