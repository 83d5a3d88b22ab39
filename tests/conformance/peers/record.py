"""Records what the installed frameworks export and compute, so that tests judge against them without installing them.

``NIRBRIDGE_PEERS=/tmp/peers python -m tests.conformance.peers.record [NAME ...]`` writes ``recorded/NAME.zip`` with
graph.nir, x.npy, y.npy and version.txt.  /tmp/peers comes from
``pip install --no-deps --target /tmp/peers snntorch sinabs spikingjelly rockpool pbr``.
"""

from __future__ import annotations

import sys
import tempfile
import zipfile
from pathlib import Path

from tests.conformance.peers.export import NETWORKS
from tests.conformance.peers.live import MissingPeerError, export

RECORDED = Path(__file__).with_name("recorded")
_FILES = ("graph.nir", "x.npy", "y.npy", "version.txt")
_TIME = (2026, 1, 1, 0, 0, 0)
"""The same for every file, so that what did not change is the same archive."""


def place(name: str) -> Path:
    """The archive of a network."""
    return RECORDED / f"{name.replace(',', '').replace(' ', '_')}.zip"


def record(name: str) -> None:
    """Exports a network and packs it."""
    with tempfile.TemporaryDirectory() as folder:
        export({name: Path(folder)})
        with zipfile.ZipFile(place(name), "w") as archive:
            for file in _FILES:
                content = (Path(folder) / file).read_bytes()
                archive.writestr(zipfile.ZipInfo(file, _TIME), content, zipfile.ZIP_DEFLATED, 9)


def main() -> None:
    """Records all networks, or those named."""
    RECORDED.mkdir(exist_ok=True)
    for name in sys.argv[1:] or NETWORKS:
        try:
            record(name)
            print(f"{place(name).name}: {place(name).stat().st_size} bytes")
        except MissingPeerError as error:
            print(f"{name}: not recorded, {error}")


if __name__ == "__main__":
    main()
