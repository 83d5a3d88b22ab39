"""The XML text in the header of AEDAT 4.0 that lists the streams of a recording."""

from __future__ import annotations

import re
from dataclasses import dataclass
from xml.etree import ElementTree

from nirbridge.errors import FileError
from nirbridge_events.events import Size, known_size

EVENTS = "EVTS"
_NUMBER = re.compile(r"\d{1,9}")


@dataclass(frozen=True)
class Stream:
    """A stream of packets.

    Attributes:
        kind: four letters, "EVTS" for events, "FRME" for frames, "IMUS", "TRIG" and others.
        sensor_size: (width, height), or None where it does not say.
        camera: what sent it.
        module: what wrote it, where several streams are of one camera.
    """

    kind: str
    sensor_size: Size | None
    camera: str = ""
    module: str = ""


def parse_streams(where: str, text: bytes) -> dict[int, Stream]:
    """The streams by number: the nodes with a number for a name in the node "outInfo".

    Raises:
        FileError: the text is no such XML, or declares a document type, which could make it arbitrarily large.
    """
    next_step = "The file is damaged; copy or record it again"
    if b"<!DOCTYPE" in text:
        raise FileError(where, "its description of streams declares a document type", next_step)
    try:
        root = ElementTree.fromstring(text.decode())
    except (ElementTree.ParseError, ValueError) as error:
        raise FileError(where, f"its description of streams is no XML ({error})", next_step) from error
    found = next((node for node in root.iter("node") if node.get("name") == "outInfo"), None)
    nodes = [] if found is None else [node for node in found if _NUMBER.fullmatch(node.get("name", ""))]
    return {int(node.get("name", "")): _stream(node) for node in nodes}


def _stream(node: ElementTree.Element) -> Stream:
    info = next((child for child in node if child.get("name") == "info"), node)
    width, height = (_attribute(info, key) for key in ("sizeX", "sizeY"))
    stated = _NUMBER.fullmatch(width) and _NUMBER.fullmatch(height)
    size = known_size(int(width), int(height)) if stated else None
    # Names go into messages of one line.
    kind = re.sub(r"\W+", "?", _attribute(node, "typeIdentifier")[:16]) or "unknown"
    camera, module = (_name(_attribute(*place)) for place in ((info, "source"), (node, "originalModuleName")))
    return Stream(kind, size, camera, module)


def cameras(streams: dict[int, Stream]) -> dict[str, str]:
    """The streams of events by number, each with the name of its camera, and of its module if that is not enough."""
    events = {str(number): stream for number, stream in streams.items() if stream.kind == EVENTS}
    names = {number: stream.camera for number, stream in events.items()}
    if len(set(names.values())) < len(names):
        return {number: f"{stream.camera}/{stream.module}".strip("/") for number, stream in events.items()}
    return names


def _name(text: str) -> str:
    return re.sub(r"[^\w.-]+", "-", text[:40])


def _attribute(node: ElementTree.Element, key: str) -> str:
    return next((child.text or "" for child in node if child.tag == "attr" and child.get("key") == key), "").strip()
