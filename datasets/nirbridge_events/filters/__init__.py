"""Filters of events: a file each, which puts its filter into the table ``FILTERS`` by name."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from nirbridge_events.filters.base import FILTERS, EventFilter, FilterState, ParseDuration, parse_filter, register

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

__all__ = ["FILTERS", "EventFilter", "FilterState", "ParseDuration", "parse_filter", "register"]
