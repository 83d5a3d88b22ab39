"""The reference runtime: numpy in double precision, one step at a time, obviously right.

It defines what every node means; every other runtime is judged by it.
"""

from nirbridge_reference.runtime import RUNTIME

__all__ = ["RUNTIME"]
