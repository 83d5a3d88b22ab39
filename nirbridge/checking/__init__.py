"""Finds everything that is wrong with a graph at once.  To add a rule: a function in one of the files here."""

from nirbridge.checking.rules import RULES, WARNING_RULES, find_problems, find_time_warnings, find_warnings

__all__ = ["RULES", "WARNING_RULES", "find_problems", "find_time_warnings", "find_warnings"]
