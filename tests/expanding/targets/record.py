"""Records what the platforms compute, so that tests and docs/reach.md have it without installing them.

``NIRBRIDGE_PEERS=/tmp/peers python -m tests.expanding.targets.record [TARGET ...]`` writes ``recorded/TARGET.npz``.
/tmp/peers comes from ``pip install --no-deps --target /tmp/peers snntorch==1.0.0 sinabs==3.1.3 pbr rockpool==3.1.0``;
of spikingjelly put the folder ``spikingjelly`` of its main branch (afb13226) there, since no release has its importer.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

from tests.expanding.targets.peers import PACKAGES, RECORDED, MissingPeerError, digest, outputs_of, reached_by


def main() -> None:
    """Records all platforms, or those named."""
    RECORDED.mkdir(exist_ok=True)
    for target in sys.argv[1:] or PACKAGES:
        try:
            with tempfile.TemporaryDirectory() as folder:
                outputs = outputs_of(target, Path(folder))
        except MissingPeerError as error:
            sys.stderr.write(f"{target}: not recorded, {error}\n")
            continue
        digests = {f"{name}.digest": np.array(digest(reached)) for name, reached in reached_by(target).items()}
        np.savez_compressed(RECORDED / f"{target}.npz", allow_pickle=False, **outputs, **digests)


if __name__ == "__main__":
    main()
