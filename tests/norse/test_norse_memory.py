"""Memory that is freed serves what comes next."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

FAULTS = """
from resource import RUSAGE_SELF, getrusage
import torch
from nirbridge_norse.memory import keep_pages

def faults():
    before = getrusage(RUSAGE_SELF).ru_minflt
    for _ in range(20):
        [torch.zeros(2**19) for _ in range(6)]
    return getrusage(RUSAGE_SELF).ru_minflt - before

keep_pages()
faults()
print(faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other libraries of C have other ways")
def test_freed_pages_are_not_asked_for_again() -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    done = subprocess.run(
        [sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True, timeout=120, env=environment
    )
    assert int(done.stdout) < 100, "some processes asked for 60,000 before"
