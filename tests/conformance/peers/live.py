"""Runs the exports of one framework in a process of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from tests.conformance.peers.export import NETWORKS

SCRIPT = Path(__file__).with_name("export.py")


class MissingPeerError(Exception):
    """The framework is not installed, or not importable, in words."""


def alike(name: str) -> list[str]:
    """All networks of the same framework."""
    return [other for other, network in NETWORKS.items() if network.needed == NETWORKS[name].needed]


def export(folders: Mapping[str, Path]) -> None:
    """Lets a framework export networks of its own, each into its folder.

    Frameworks that are not installed may lie in the folder that NIRBRIDGE_PEERS names.

    Raises:
        MissingPeerError: the framework is not there.
        RuntimeError: its exporter failed.
    """
    (package,) = {NETWORKS[name].needed.split(".")[0] for name in folders}
    peers = os.environ.get("NIRBRIDGE_PEERS", "")
    if not find_spec(package) and not (peers and (Path(peers) / package).is_dir()):
        raise MissingPeerError(f"{package} is not installed; see NIRBRIDGE_PEERS in test_live_exports.py")
    # Behind the installed packages: the folder may hold another version of one of them.
    code = f"import runpy, sys; sys.path.append(sys.argv.pop(1)); runpy.run_path({str(SCRIPT)!r}, run_name='__main__')"
    told = [str(part) for pair in folders.items() for part in pair]
    command = [sys.executable, "-W", "ignore", "-c", code, peers, *told]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    if done.returncode == 3:
        raise MissingPeerError(done.stdout.strip())
    if done.returncode:
        raise RuntimeError(done.stderr)
