"""Compiled functions, and a cache that cannot be written."""

from __future__ import annotations

import os
import resource
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from nirbridge.machine_code import compiled, triton_is_there

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

    real(_double)(21)  # numba's first compilation imports parts of it, by njit
    monkeypatch.setattr(numba, "njit", njit)
    assert compiled(_double, nogil=True)(21) == 42
    assert asked == [{"cache": True, "nogil": True}, {"nogil": True}]


def test_a_second_process_waits_until_the_code_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here a second dispatcher in a thread of its own, while the first has written the index and not yet the code."""
    from numba.core.caching import IndexDataCacheFile

    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    first, second, found, write = compiled(_double), compiled(_double), [], IndexDataCacheFile._save_data
    reader = threading.Thread(target=lambda: found.append(second._cache.load_overload(*key)))

    def slow_write(*what: Any) -> None:
        reader.start()
        time.sleep(0.2)
        found.append("written")
        write(*what)

    monkeypatch.setattr(IndexDataCacheFile, "_save_data", slow_write)
    key = ((numba.int64,), first.targetctx)
    assert first(21) == 42
    reader.join()
    assert found[0] == "written"
    assert found[1].signature.return_type == numba.int64


def test_processes_that_need_a_function_at_once_compile_it_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    function = compiled(_double)
    compile_ = function._compiler.compile

    def slow_compile(*what: Any) -> Any:
        time.sleep(0.5)
        return compile_(*what)

    monkeypatch.setattr(function._compiler, "compile", slow_compile)
    children = []
    for _ in range(2):
        children.append(os.fork())
        if children[-1] == 0:
            right = function(21) == 42
            os._exit(sum(function.stats.cache_hits.values()) if right else 2)
    assert sorted(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children) == [0, 1]


def test_kernels_for_cuda_need_a_c_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CC", raising=False)
    assert not triton_is_there.__wrapped__()
