"""On a CUDA device, in under five minutes: the tests, the CPU's bits, and times against the ANN and spikingjelly.

Everything is measured in turns in one process; figures are medians. First come the tests that need a card, then single
neuron layers, VGGSNN in training modules (float32, and float16 and bfloat16 by autocast) and the same network as a
graph on the runtime. What the seconds no longer suffice for is left out, and named; what fails does not stop the rest.

    python benchmarks/gpu.py [--out gpu.md] [--seconds 280] [--batch 32] [--width 64] [--repeats 20]

Where there is no card it says so and ends. ``--device cpu --batch 1 --width 2 --repeats 1`` tries the script itself.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from functools import cache, partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import nirbridge
from nirbridge.networks import VGGSNN
from nirbridge.neurons import MultiLevelLIF, OverTime, Sigmoid

TESTS = [
    "tests/norse/test_norse_runtime_object.py",
    "tests/norse/test_norse_triton.py",
    "tests/norse/test_norse_recorded.py",
    "tests/neurons/test_fused_triton.py",
]
SHAPE, STEPS = (2, 48, 48), (4, 10)
DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
ANN, PEER = 1.1, 1.0
Row = dict[str, Any]
Rows = Iterator[Row]


def row(what: str, found: str, good: bool | None = None) -> Row:
    """A line of the page; ``good`` says whether a target was reached, where there is one."""
    return {"what": what, "found": found, "good": good}


def lanes(count: int = 3) -> MultiLevelLIF:
    """M-LIF; one lane is the LIF that spikingjelly has too."""
    return MultiLevelLIF(count, 1.0, 0.5, reset="value", boundary=">=", surrogate=Sigmoid(4.0))


class Folded(nn.Module):
    """A neuron over [T*B, ...]."""

    def __init__(self, steps: int, node: nn.Module) -> None:
        super().__init__()
        self.steps, self.node = steps, node

    def forward(self, x: Tensor) -> Tensor:
        return self.node(x.unflatten(0, (self.steps, -1))).flatten(0, 1)


class PeerLIF(Folded):
    """spikingjelly's LIF."""

    def __init__(self, steps: int, backend: str) -> None:
        from spikingjelly.activation_based import neuron, surrogate

        node = neuron.LIFNode(
            tau=2.0, decay_input=False, v_threshold=1.0, v_reset=0.0, surrogate_function=surrogate.Sigmoid(4.0),
            detach_reset=True, step_mode="m", backend=backend,
        )  # fmt: skip
        super().__init__(steps, node)

    def forward(self, x: Tensor) -> Tensor:
        self.node.reset()
        return super().forward(x)


class Bench:
    """Options and the clock."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.device, self.batch = torch.device(options.device), options.batch
        self.width, self.repeats = options.width, options.repeats
        self.end = time.monotonic() + options.seconds

    def once(self, work: Callable[[], Any]) -> float:
        """Milliseconds."""
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        start = time.perf_counter()
        work()
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        return (time.perf_counter() - start) * 1e3

    def medians(self, ways: dict[str, Callable[[], Any]]) -> dict[str, float]:
        """Of each way, in turns; three rounds before are not counted."""
        times: dict[str, list[float]] = {name: [] for name in ways}
        for turn in range(3 + self.repeats):
            for name, work in ways.items():
                taken = self.once(work)
                if turn >= 3:
                    times[name].append(taken)
        return {name: statistics.median(each) for name, each in times.items()}

    def frames(self, *shape: int) -> Tensor:
        generator = torch.Generator().manual_seed(0)
        return (torch.randn(*shape, generator=generator) + 0.5).to(self.device)


def tests(bench: Bench) -> Rows:
    """Those that are skipped where there is no card, and say so in their names."""
    command = [sys.executable, "-m", "pytest", "-q", "-k", "cuda", "-p", "no:cacheprovider", *TESTS]
    root = Path(__file__).resolve().parents[1]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=110, cwd=root)
    print(done.stdout[-3000:])
    yield row("tests on CUDA", done.stdout.strip().splitlines()[-1], done.returncode == 0)


@cache
def peers(device: torch.device) -> list[str]:
    """The backends of spikingjelly that run here."""
    found = []
    for name in ("cupy", "triton"):
        try:
            PeerLIF(1, name).to(device)(torch.zeros(1, 1, device=device))
            found.append(name)
        except Exception as error:
            print(f"spikingjelly, backend {name}: {error!r}"[:200])
    return found


def layers(bench: Bench) -> Rows:
    """One neuron layer, forward and backward: over a copy of its data, and spikingjelly's over ours."""
    x = bench.frames(10 * bench.batch, bench.width, 48, 48).requires_grad_()
    grad = torch.randn_like(x)

    def trained(net: nn.Module) -> Callable[[], Any]:
        return lambda: torch.autograd.grad(net(x), x, grad)

    ours = {"M-LIF": Folded(10, lanes()), "LIF": Folded(10, lanes(1))}
    theirs = {backend: PeerLIF(10, backend).to(bench.device) for backend in peers(bench.device)}
    for backend, peer in theirs.items():
        differ = int((peer(x) != ours["LIF"](x)).sum())
        yield row(f"spikes of spikingjelly {backend}", f"{differ} of {x.numel()} differ", not differ)
    found = bench.medians({"copy": x.detach().clone, **{name: trained(net) for name, net in (ours | theirs).items()}})
    for name in ours:
        yield ratio(f"{name} layer, forward and backward, over one copy", found[name], found["copy"], None)
    for backend in theirs:
        yield ratio(f"spikingjelly {backend} over LIF, one layer", found[backend], found["LIF"], PEER, least=True)


def network(bench: Bench, make: Callable[[], nn.Module]) -> nn.Module:
    torch.manual_seed(0)
    return VGGSNN(width=bench.width, neuron=make).to(bench.device, memory_format=torch.channels_last)


def networks(bench: Bench) -> Rows:
    """VGGSNN with M-LIF over the same layers with ReLU, both with time folded into the batch, channels last."""
    for steps in STEPS:
        x = bench.frames(steps * bench.batch, *SHAPE).contiguous(memory_format=torch.channels_last)
        sequence = x.unflatten(0, (steps, -1))
        spiking, ann = OverTime(network(bench, lanes)), network(bench, nn.ReLU)
        lif = OverTime(network(bench, partial(lanes, 1)))
        found = {"M-LIF": (spiking, sequence), "ANN": (ann, x), "LIF": (lif, sequence)}
        for backend in peers(bench.device):
            found[backend] = network(bench, partial(PeerLIF, steps, backend)), x
        for name, dtype in DTYPES.items():
            for training in (False, True):
                ways = {who: run_of(bench, *one, dtype, training) for who, one in found.items()}
                taken = bench.medians(ways)
                label = f"VGGSNN T={steps}, {name}, {'training step' if training else 'inference'}"
                yield ratio(f"{label}, over the ANN", taken["M-LIF"], taken["ANN"], ANN)
                for backend in peers(bench.device):
                    yield ratio(
                        f"{label}, spikingjelly {backend} over LIF", taken[backend], taken["LIF"], PEER, least=True
                    )


def run_of(bench: Bench, net: nn.Module, x: Tensor, dtype: torch.dtype, training: bool) -> Callable[[], Any]:
    """A forward pass, or one with the backward pass behind it."""

    def run() -> None:
        low = torch.autocast(bench.device.type, dtype) if dtype is not torch.float32 else nullcontext()
        with torch.set_grad_enabled(training), low:
            y = net.train(training)(x)
        if training:
            net.zero_grad()
            y.float().square().mean().backward()

    return run


def graph_of(bench: Bench) -> nirbridge.nir.NIRGraph:
    """VGGSNN as a graph whose weights are multiples of 1/64: every sum is exact."""
    net = OverTime(network(bench, lanes))
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = None  # the mean of what comes, without which later layers would be silent
    with torch.no_grad():
        net(bench.frames(2, 8, *SHAPE))
    graph = nirbridge.export(net.cpu().eval(), SHAPE)
    for node in graph.nodes.values():
        for name in ("weight", "bias"):
            if hasattr(node, name):
                setattr(node, name, np.round(np.asarray(getattr(node, name)) * 64) / 64)
    return graph


def runtime(bench: Bench) -> Rows:
    """The graph: the bits of the CPU, and its time with data and results on the host over that of the ANN."""
    graph, name = graph_of(bench), bench.device.type
    ann = network(bench, nn.ReLU).eval()
    for parent in [*ann.modules()]:
        for child, module in [*parent.named_children()]:
            if isinstance(module, nn.BatchNorm2d):
                setattr(parent, child, nn.Identity())  # the graph has it folded in
    for steps in STEPS:
        x = np.random.default_rng(0).integers(0, 3, (steps, bench.batch, *SHAPE)).astype(np.float32)
        cpu = nirbridge.compile(graph, "norse", dtype="float32").run(x[:, :2]).output
        yield row(f"graph, T={steps}, different outputs on the CPU", f"{np.unique(cpu).size} among {cpu.size}")
        programs = {e: nirbridge.compile(graph, "norse", device=name, dtype="float32", exact=e) for e in (True, False)}
        for exact, program in programs.items():
            differ = int((program.run(x[:, :2]).output != cpu).sum())
            good = differ == 0 if exact else None
            yield row(f"graph, T={steps}, exact={exact}", f"{differ} of {cpu.size} differ", good)

        def plain(x: np.ndarray = x) -> Any:
            with torch.inference_mode():
                frames = torch.from_numpy(x).to(bench.device).flatten(0, 1)
                return ann(frames.contiguous(memory_format=torch.channels_last)).cpu().numpy()

        ways = {str(exact): lambda p=program, x=x: p.run(x) for exact, program in programs.items()}
        found = bench.medians({**ways, "ANN": plain})
        for exact in programs:
            goal = None if exact else ANN
            yield ratio(f"graph, T={steps}, exact={exact}, over the ANN", found[str(exact)], found["ANN"], goal)
    one = {f"exact={exact}": lambda p=program: p.step(x[0, :1]) for exact, program in programs.items()}
    for program in programs.values():
        program.reset()
    for how, taken in bench.medians(one).items():
        yield row(f"graph, one step of one sample, {how}", f"{taken:.3f} ms", None)


def ratio(what: str, taken: float, over: float, goal: float | None, least: bool = False) -> Row:
    value = taken / over
    good = None if goal is None else value >= goal if least else value <= goal
    shown = "" if goal is None else f", target {'≥' if least else '≤'} {goal:g}"
    return row(what, f"{value:.2f} ({taken:.3f} / {over:.3f} ms{shown})", good) | {"ratio": value}


def written(rows: list[Row], machine: dict[str, str]) -> str:
    """The page."""
    words = {True: "yes", False: "**no**", None: ""}
    lines = ["# On a GPU", "", ", ".join(f"{k} {v}" for k, v in machine.items()), "", "| what | found | reached |"]
    lines += ["| --- | --- | --- |", *(f"| {one['what']} | {one['found']} | {words[one['good']]} |" for one in rows)]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, default=Path("gpu.md"), help="the page; figures go beside it, as .json")
    parser.add_argument("--device", default="cuda")
    for name, value in {"seconds": 280, "batch": 32, "width": 64, "repeats": 20}.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    options = parser.parse_args()
    if options.device != "cpu" and not torch.cuda.is_available():
        print("torch finds no CUDA device here: nothing was run")
        return
    card = torch.cuda.get_device_name() if options.device != "cpu" else platform.processor()
    packages = {name: version(name) for name in ("torch", "triton", "spikingjelly") if find_spec(name)}
    machine = {"card": card, "python": platform.python_version(), **packages}
    bench, rows = Bench(options), []
    for section in (tests, layers, runtime, networks):
        try:
            for found in section(bench):
                rows.append(found)
                print(f"{found['what']}: {found['found']}", flush=True)
                options.out.write_text(written(rows, machine))
                options.out.with_suffix(".json").write_text(json.dumps({"machine": machine, "rows": rows}, indent=1))
                if time.monotonic() > bench.end:
                    raise TimeoutError("the seconds are over, what would follow was left out")
        except Exception as error:
            traceback.print_exc()
            rows.append(row(section.__name__, f"stopped: {error}"[:300], False))
            options.out.write_text(written(rows, machine))


if __name__ == "__main__":
    main()
