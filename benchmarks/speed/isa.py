"""Which instructions the processor has for products of 8-bit integers."""

from __future__ import annotations

from pathlib import Path

CAPS = {"AMX": "AVX512_CORE_AMX", "VNNI": "AVX512_CORE_VNNI", "AVX2": "AVX2"}
"""From best to least; the value of ONEDNN_MAX_CPU_ISA that goes no further."""


def flags() -> set[str]:
    """What /proc/cpuinfo lists; empty where there is no such file."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return set()
    return set(next((line for line in lines if line.startswith("flags")), "").split())


def usable() -> list[str]:
    """The names in ``CAPS`` that the processor has, best first."""
    found = flags()
    has = {"AMX": "amx_int8" in found, "VNNI": "avx512_vnni" in found, "AVX2": "avx2" in found}
    return [name for name in CAPS if has[name]]
