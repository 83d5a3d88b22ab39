"""Whether runtimes agree: node by node, against the reference."""

from nirbridge.comparing.against_reference import compare
from nirbridge.comparing.results import Comparison, NodeComparison

__all__ = ["Comparison", "NodeComparison", "compare"]
