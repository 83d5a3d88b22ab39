"""Calls in a process of their own: python -m benchmarks.speed.fresh MODULE:FUNCTION '{"argument": 1}'."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


class FailedError(RuntimeError):
    """The process ended with an error, which it said on standard error."""


def fresh(function: str, environment: Mapping[str, str] | None = None, **arguments: Any) -> Any:
    """What ``module:function`` gives, in a new process with one thread where ``environment`` says nothing else.

    Raises:
        FailedError: it ended with an error.
    """
    command = [sys.executable, "-m", "benchmarks.speed.fresh", function, json.dumps(arguments)]
    told = {**os.environ, **dict.fromkeys(THREADS, "1"), **(environment or {})}
    done = subprocess.run(command, env=told, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise FailedError(f"{function} ended with exit code {done.returncode}")
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    name, given = sys.argv[1:]
    module, _, function = name.partition(":")
    found = getattr(importlib.import_module(module), function)(**json.loads(given))
    print("\n" + json.dumps(found.as_data() if hasattr(found, "as_data") else found))
