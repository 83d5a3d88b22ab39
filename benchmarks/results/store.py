"""What runs found: one JSON line a run while they go on, one JSON file beside the page at the end."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from nirbridge.errors import FileError
from nirbridge.files import write_whole

from .jobs import Job
from .sources import code_digest

Outcome = dict[str, Any]
_NEEDED = {"key", "experiment", "data", "cell", "seed", "seconds", "cpu_seconds", "numbers", "work"}


def outcome(job: Job, seconds: float, cpu_seconds: float, numbers: dict[str, Any]) -> Outcome:
    """The record of a finished job."""
    told = {"experiment": job.experiment, "data": job.data, "cell": job.cell, "seed": job.seed, "task": job.task}
    times = {"seconds": round(seconds, 2), "cpu_seconds": round(cpu_seconds, 2)}
    return {"key": job.key, **told, **times, "code": code_digest(), "numbers": numbers, "work": job.work}


class Store:
    """The runs that are done, in a file of JSON lines to which each new one is added.

    Args:
        path: the file; it need not exist.
        code: take only runs of this state of the code; of any, if None.
    """

    def __init__(self, path: Path, code: str | None = None) -> None:
        self.path, self.code = path, code
        self.outcomes: dict[str, Outcome] = {}
        if path.is_file():
            for line in path.read_text(encoding="utf-8").splitlines():
                self._take(line)

    def _take(self, line: str) -> None:
        try:
            found = json.loads(line)
        except ValueError:  # an interruption cut the line; the run is simply done again
            return
        if isinstance(found, dict) and found.keys() >= _NEEDED and self.code in (None, found.get("code")):
            self.outcomes[found["key"]] = found

    def add(self, found: Outcome) -> None:
        """Keeps a run, in the file too before this returns."""
        self.outcomes[found["key"]] = found
        # A line that an interruption cut has no end: what is added must not continue it.
        cut = self.path.is_file() and not self.path.read_bytes().endswith(b"\n") and self.path.stat().st_size > 0
        with self.path.open("a", encoding="utf-8") as file:
            file.write(("\n" if cut else "") + json.dumps(found) + "\n")
            file.flush()
            os.fsync(file.fileno())


def write_runs(path: Path, content: dict[str, Any]) -> None:
    """Writes all that the page is drawn from, one line a run, whole or not at all."""
    head = {name: value for name, value in content.items() if name != "runs"}
    lines = ",\n  ".join(json.dumps(run) for run in content["runs"])
    text = json.dumps(head, indent=1)[:-2] + f',\n "runs": [\n  {lines}\n ]\n}}\n'
    write_whole(path, text)


def read_runs(path: Path) -> dict[str, Any]:
    """What ``write_runs`` wrote.

    Raises:
        FileError: it is missing or not such a file.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        good = all(run.keys() >= _NEEDED for run in content["runs"]) and {"machine", "command"} <= content.keys()
    except OSError as error:
        raise FileError(f"file '{path}'", f"cannot be read ({error.strerror})", "Run without --redraw first") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise FileError(f"file '{path}'", "is no file of runs", "Run without --redraw to write it anew") from error
    if not good:
        raise FileError(f"file '{path}'", "lacks fields that the page needs", "Run without --redraw to write it anew")
    return dict(content)
