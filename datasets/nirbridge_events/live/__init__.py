"""Live sources: ``udp://HOST:PORT?format=spif`` and the standard input, ``-`` or ``stdin:?format=csv``."""

from nirbridge_events.live.stdin import open_stdin
from nirbridge_events.live.udp import open_udp

__all__ = ["open_stdin", "open_udp"]
