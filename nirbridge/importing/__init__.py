"""Files of other frameworks → graphs."""

from nirbridge.importing.netx import read_netx

__all__ = ["read_netx"]
