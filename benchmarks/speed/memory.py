"""Peak memory of a run, against the plain network's."""

from __future__ import annotations

from pathlib import Path

from .fresh import fresh
from .measuring import Row, Section

NAME, TITLE = "memory", "Memory of a run"
ABOUT = """VGGSNN, T = 10, B = 1 (one block of all steps). Each figure is of a fresh process: the peak of what it holds
(`VmHWM`, reset before) less what it held before, over the same of the ANN on the same 10 frames. "run" is the first
run of a program that is compiled, against the first of an ANN whose weights are packed: activations, states and
buffers. "with weights", which has no target, starts before compiling and packing, when the graph's own arrays are in
memory; it holds what compiling takes for a while, and of fp32 the parameters in double precision that the plan keeps.
glibc is told to give freed memory back at once."""
RATIO, INT8 = 1.2, 0.5
KINDS = ("fp32", "8 bits", "ANN")
RETURNED = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
"""glibc gives freed memory back at once; what it kept would hide what comes next."""
WHY = {
    "8 bits": "Messages are bytes, but a convolution of them sends float32 for the neuron behind it, and every layer "
    "keeps its bytes and its membranes for the next block.",
    "fp32": "Membranes of all neurons come on top of activations.",
}


def held(field: str) -> int:
    """Bytes that this process holds: VmRSS now, VmHWM at most since it was reset."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(field)).split()[1])


def one_process(kind: str, size: int, width: int, steps: int) -> dict[str, int]:
    """Bytes at the peak beyond those before, of the first run and with the weights."""
    import torch

    import nirbridge
    from nirbridge.quantizing import quantize

    from . import vgg

    graph, x = vgg.make_graph(size, width), vgg.frames(steps, size)
    small = vgg.make_graph(16, 4)
    with nirbridge.compile(small, "norse") as program:  # loads what programs need
        program.run(vgg.frames(1, 16))
    if kind == "8 bits":
        graph = quantize(graph, vgg.frames(2, size))
        with nirbridge.compile(quantize(small, vgg.frames(2, 16)), "norse") as program:
            program.run(vgg.frames(1, 16))
    vgg.Ann(small, torch.from_numpy(vgg.frames(1, 16)[0])).packed(torch.from_numpy(vgg.frames(1, 16)[0]))

    def peak_from_here() -> int:
        Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
        return held("VmRSS")

    before = peak_from_here()
    if kind == "ANN":
        flat = torch.from_numpy(x).flatten(0, 1)
        ann = vgg.Ann(graph, flat)
        run = lambda: ann.packed(flat)  # noqa: E731
    else:
        program = nirbridge.compile(graph, "norse")
        run = lambda: program.run(x)  # noqa: E731
    with_weights = held("VmHWM")
    ready = peak_from_here()
    run()
    peak = held("VmHWM")
    return {"run": peak - ready, "with weights": max(with_weights, peak) - before}


def measure(quick: bool = False) -> Section:
    """All rows."""
    section = Section()
    if not Path("/proc/self/clear_refs").exists():
        section.notes.append("Not measured: the system does not tell a process's peak.")
        return section
    sizes = {"size": 16, "width": 8, "steps": 2} if quick else {"size": 48, "width": 64, "steps": 10}
    found: dict[str, list[dict[str, int]]] = {kind: [] for kind in KINDS}
    for _ in range(1 if quick else 3):
        for kind, results in found.items():
            results.append(fresh("benchmarks.speed.memory:one_process", RETURNED, kind=kind, **sizes))
    for kind, target in (("fp32", RATIO), ("8 bits", INT8)):
        for what, bound in (("run", target), ("with weights", None)):
            values = [max(a[what], 1) / max(b[what], 1) for a, b in zip(found[kind], found["ANN"], strict=True)]
            section.rows.append(Row(f"memory, VGGSNN, {kind}, {what}, over the ANN", values, bound))
    section.rows += [
        Row(f"{kind}, {what}", [result[what] / 2**20 for result in results], unit="MiB")
        for kind, results in found.items()
        for what in ("run", "with weights")
    ]
    return section
