"""Finds everything that is wrong with a graph at once.  To add a rule: a function in one of the files here."""

from nirbridge.checking.rules import RULES, find_problems

__all__ = ["RULES", "find_problems"]
