"""What sections found, one JSON file each beside the page, with the machine and the day."""

from __future__ import annotations

import datetime
import json
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks.results.machine import processor
from nirbridge.errors import FileError
from nirbridge.files import write_whole

from . import isa

Found = dict[str, Any]
PACKAGES = ("torch", "numpy", "numba", "nir", "norse", "spikingjelly", "snntorch", "sinabs", "tonic")
_NEEDED = {"machine", "date", "took", "quick", "rows", "notes", "curves"}
_ROW = {"what", "values", "target", "bound", "unit", "seconds", "profile"}


def machine() -> Found:
    """Processor, cores, instructions and versions."""
    return {
        "processor": processor(),
        "cores": os.cpu_count() or 1,
        "instructions": isa.usable(),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in PACKAGES},
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def write_section(folder: Path, name: str, section: Found, took: float, quick: bool = False) -> None:
    """Writes a section's file, whole or not at all."""
    day = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    content = {"machine": machine(), "date": day, "took": round(took, 1), "quick": quick, **section}
    lines = {key: json.dumps(value, ensure_ascii=False) for key, value in _rounded(content).items()}
    rows = ",\n  ".join(json.dumps(row, ensure_ascii=False) for row in _rounded(content["rows"]))
    lines["rows"] = f"[\n  {rows}\n ]"
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(
        folder / f"{name}.json", "{\n " + ",\n ".join(f'"{key}": {text}' for key, text in lines.items()) + "\n}\n"
    )


def _rounded(value: Any) -> Any:
    """Floats with five digits, which is more than they hold."""
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, dict):
        return {key: _rounded(entry) for key, entry in value.items()}
    return [_rounded(entry) for entry in value] if isinstance(value, list | tuple) else value


def read_section(folder: Path, name: str) -> Found | None:
    """What ``write_section`` wrote, or None where it did not yet.

    Raises:
        FileError: the file is none of these.
    """
    path = folder / f"{name}.json"
    if not path.is_file():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        good = found.keys() >= _NEEDED and all(row.keys() >= _ROW and row["values"] for row in found["rows"])
    except (ValueError, AttributeError, TypeError):
        good = False
    if not good:
        raise FileError(f"file '{path}'", "is no file of measurements", f"Run 'make bench' or --only {name}")
    return dict(found)
