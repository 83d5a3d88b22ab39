"""The suite that judges a runtime node by node, for authors of runtimes: it ships with nirbridge."""

from nirbridge.conformance.cases import CASES, Case
from nirbridge.conformance.judging import Verdict, judge, judge_runtime
from nirbridge.conformance.support_table import Cell, support_cells, to_markdown, to_table

__all__ = ["CASES", "Case", "Cell", "Verdict", "judge", "judge_runtime", "support_cells", "to_markdown", "to_table"]
