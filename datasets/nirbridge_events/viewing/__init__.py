"""A page on this machine that shows a stream while it runs."""

from nirbridge_events.viewing.server import View

__all__ = ["View"]
