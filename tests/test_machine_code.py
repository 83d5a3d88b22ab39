"""Compiled functions, and a cache that cannot be written."""

from __future__ import annotations

import resource
from pathlib import Path
from typing import Any

import pytest

from nirbridge.machine_code import compiled

numba = pytest.importorskip("numba")


def _double(x: int) -> int:
    return 2 * x


@pytest.mark.parametrize("limit", [0, resource.RLIM_INFINITY])
def test_a_cache_that_cannot_be_written_is_left_out(
    limit: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    function = compiled(_double)
    kept = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, kept[1]))
    try:
        assert function(21) == 42
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, kept)
    assert any(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) == (limit != 0)


def test_without_a_folder_for_the_cache_functions_are_compiled_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    real, asked = numba.njit, []

    def njit(**options: Any) -> Any:
        asked.append(options)
        if options.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        return real(**options)

    monkeypatch.setattr(numba, "njit", njit)
    assert compiled(_double, nogil=True)(21) == 42
    assert asked == [{"cache": True, "nogil": True}, {"nogil": True}]
