"""What the name of a live source says: ``udp://HOST:PORT?format=spif&size=640x480&idle=2``."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from nirbridge.errors import InputError
from nirbridge_events.events import Size, as_size

DEFAULT_PORT = 3333
OPTIONS = ("format", "size", "idle")
_SIZE = re.compile(r"(\d{1,6})x(\d{1,6})")


@dataclass(frozen=True)
class Address:
    """Where a live source comes from.

    Attributes:
        host: an address or a name, of IPv4 or IPv6.
        port: 0 lets the system choose one.
        format: name of the format, "" where it is not said.
        size: size of the sensor, None where it is not said.
        idle: seconds without data after which the source ends; None to wait for ever.
    """

    host: str
    port: int
    format: str
    size: Size | None
    idle: float | None

    def agreed_size(self, where: str, given: Size | None) -> Size | None:
        """The size of the sensor that the name or the caller gives.

        Raises:
            InputError: both do, and they differ.
        """
        if given and self.size and given != self.size:
            raise InputError(where, f"says a sensor of {self.size} pixels, {given} was given", "Give it once")
        return given or self.size


def parse(source: str, known: tuple[str, ...] = OPTIONS) -> Address:
    """Reads the name of a source, which may have the options ``known``.

    Raises:
        InputError: the port, an option or its value is none.
    """
    where, scheme = f"source '{source}'", "tcp" if source.startswith("tcp:") else "udp"
    example = f"Give it as {scheme}://127.0.0.1:3333"
    try:
        parts = urlsplit(source)
        port = DEFAULT_PORT if parts.port is None else parts.port
        host = parts.hostname or "127.0.0.1"
    except ValueError as error:
        raise InputError(where, f"is no address ({error})", example) from error
    if parts.path not in ("", "/", "-") or parts.username or parts.fragment:
        raise InputError(where, "has more than a host and a port", example)
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    if unknown := sorted(set(options) - set(known)):
        raise InputError(where, f"has no option '{unknown[0]}'", f"Options are {', '.join(known)}")
    return Address(host, port, options.get("format", ""), _size(where, options), _idle(where, options))


def _size(where: str, options: dict[str, str]) -> Size | None:
    if "size" not in options:
        return None
    found = _SIZE.fullmatch(options["size"])
    if not found:
        raise InputError(where, f"size '{options['size']}' is not WIDTHxHEIGHT", "Give it as size=640x480")
    return as_size((int(found[1]), int(found[2])), where)


def _idle(where: str, options: dict[str, str]) -> float | None:
    if "idle" not in options:
        return None
    try:
        idle = float(options["idle"])
    except ValueError:
        idle = math.nan
    if not 0 < idle < 1e9:
        raise InputError(where, f"idle '{options['idle']}' is no number of seconds", "Give it as idle=2.5")
    return idle
