"""Shows a graph as text, as plain data and as a picture."""

from nirbridge.ir.compare import Difference, differences
from nirbridge.showing.describe import Description, EdgeInfo, NodeInfo, describe
from nirbridge.showing.show import show
from nirbridge.showing.svg import to_svg
from nirbridge.showing.text import to_text

__all__ = ["Description", "Difference", "EdgeInfo", "NodeInfo", "describe", "differences", "show", "to_svg", "to_text"]
