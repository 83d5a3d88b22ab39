"""The Lava runtime: Loihi-style execution on Lava's CPU simulator, a Lava Process for each node or for all of them.

Importing it loads neither lava nor its dependencies; they come with the first program, or the first :func:`network`.
"""

from nirbridge_lava.embedding import network
from nirbridge_lava.runtime import RUNTIME

__all__ = ["RUNTIME", "network"]
