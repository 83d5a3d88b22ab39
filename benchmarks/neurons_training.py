"""Forward and backward of the training neurons: one pass against loops over the steps, in one run.

"steps" is nirbridge's own loop with torch operations (``nirbridge.neurons.fused.stepwise``); "plain" is the loop that
one writes by hand: every step its own operations, each threshold its own autograd function. All three compute the same
outputs and the same gradients, of the input and of every parameter, which is checked first. The best of interleaved
repeats; with one thread in time of the processor, since on a busy machine the clock runs for others too. The smallest
size is where the calls of the loops cost more than their arithmetic; it is shown, the target counts for the others.

    python benchmarks/neurons_training.py [--repeats 9] [--threads 1]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from contextlib import nullcontext

import torch
from torch import Tensor, nn

from nirbridge.neurons import LMHT, Barrier, MultiLevelIF, MultiLevelLIF, Sigmoid, Triangle
from nirbridge.neurons.fused import stepwise

SIZES = ((10, 40, 64, 16, 16), (8, 8, 32, 24, 24), (4, 64, 32, 16, 16), (4, 8, 16, 8, 8))
SMALL = 1 << 16
TARGET = 3.0
GAMMA = 0.3


class Heaviside(torch.autograd.Function):
    """1 where r > 0 (or >=); backward the surrogate's slope."""

    @staticmethod
    def forward(ctx, r: Tensor, alpha: float | None) -> Tensor:
        ctx.save_for_backward(r)
        ctx.alpha = alpha
        return (r > 0 if alpha is None else r >= 0).to(r.dtype)

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None]:
        (r,) = ctx.saved_tensors
        if ctx.alpha is None:
            return grad * GAMMA * (1 - r.abs()).clamp(min=0), None
        s = torch.sigmoid(ctx.alpha * r)
        return grad * ctx.alpha * s * (1 - s), None


def plain_one_hot(neuron: MultiLevelLIF, x: Tensor) -> Tensor:
    """M-LIF lane by lane: lane s is what is above w_s θ and not above w_{s+1} θ."""
    theta, decay, v, outputs = neuron.threshold, neuron.decay, torch.zeros_like(x[0]), []
    for current in x:
        u = decay * v + current
        passed = [Heaviside.apply(u / (2.0**s * theta) - 1, None) for s in range(neuron.lanes)]
        level = torch.zeros_like(u)
        for s, here in enumerate(passed):
            lane = here - passed[s + 1] if s + 1 < neuron.lanes else here
            level = level + 2.0**s * lane
        v = u - level.detach() * theta if neuron.reset == "subtract" else torch.where(level > 0, 0.0, u)
        outputs.append(level)
    return torch.stack(outputs)


def plain_uniform(neuron: MultiLevelIF, x: Tensor) -> Tensor:
    """Multi-level IF threshold by threshold."""
    q, v, outputs = neuron.threshold / neuron.levels, torch.zeros_like(x[0]), []
    for current in x:
        u = v + current
        level = torch.zeros_like(u)
        for n in range(1, neuron.levels + 1):
            level = level + Heaviside.apply(u / q - n, neuron.surrogate.alpha)
        v = u - level * q
        outputs.append(level * q)
    return torch.stack(outputs)


def plain_barrier(neuron: Barrier, x: Tensor) -> Tensor:
    """Multi-level IF with a straight-through gradient."""
    q, v, outputs = neuron.threshold / neuron.levels, torch.zeros_like(x[0]), []
    for current in x:
        u = v + current
        y = u + (torch.clamp(torch.floor(u / q), 0, neuron.levels) * q - u).detach()
        v = u - y
        outputs.append(y)
    return torch.stack(outputs)


class Window(torch.autograd.Function):
    """The level's value; backward 1 where 0.5 θ <= m <= (L + 0.5) θ."""

    @staticmethod
    def forward(ctx, m: Tensor, theta: Tensor, levels: int) -> Tensor:
        ctx.save_for_backward(m, theta)
        ctx.levels = levels
        return torch.clamp(torch.floor(m / theta), 0, levels) * theta

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None, None]:
        m, theta = ctx.saved_tensors
        return grad * ((m >= 0.5 * theta) & (m <= (ctx.levels + 0.5) * theta)), None, None


def plain_lmht(neuron: LMHT, x: Tensor) -> Tensor:
    """LM-HT, the mixing of the inputs step by step as well."""
    omega, decay, v, outputs = neuron.mixing, neuron.decay, torch.zeros_like(x[0]), []
    for t in range(len(x)):
        m = decay * v.detach() + torch.tensordot(omega[t], x, dims=1)
        y = Window.apply(m, neuron.threshold, neuron.levels)
        v = m - y
        outputs.append(y)
    return torch.stack(outputs)


Case = tuple[nn.Module, Callable[[nn.Module, Tensor], Tensor]]


def cases(steps: int) -> dict[str, Case]:
    """The neurons, each with its loop by hand."""
    triangle = Triangle(GAMMA)
    soft = MultiLevelLIF(3, 0.75, 0.9, learn_threshold=True, learn_decay=True, surrogate=triangle)
    return {
        "M-LIF S=3, soft, learned": (soft, plain_one_hot),
        "M-LIF S=4, hard": (MultiLevelLIF(4, 0.75, 0.5, reset="value", surrogate=triangle), plain_one_hot),
        "LIF (S=1)": (MultiLevelLIF(1, 0.75, 0.5, surrogate=triangle), plain_one_hot),
        "multi-level IF N=4": (MultiLevelIF(4, surrogate=Sigmoid(5.0)), plain_uniform),
        "multi-level IF N=8, learned": (MultiLevelIF(8, surrogate=Sigmoid(5.0), learn_threshold=True), plain_uniform),
        "barrier N=4": (Barrier(4), plain_barrier),
        "LM-HT L=4": (LMHT(4, steps, 0.5), plain_lmht),
    }


def step(forward: Callable[[Tensor], Tensor], inputs: list[Tensor], cotangent: Tensor) -> tuple[Tensor, ...]:
    """One forward and backward; gives the gradients of the inputs, the first of which is the current."""
    return torch.autograd.grad(forward(inputs[0]), inputs, cotangent)


def measure(shape: tuple[int, ...], repeats: int) -> dict[str, dict[str, float]]:
    """The best milliseconds of each way for each neuron."""
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    torch.manual_seed(0)
    x = (torch.randn(shape) + 0.5).requires_grad_()
    cotangent = torch.randn(shape)
    found: dict[str, dict[str, float]] = {}
    for name, (neuron, plain) in cases(shape[0]).items():
        ways = {"pass": (neuron, nullcontext), "steps": (neuron, stepwise)}
        ways["plain"] = (lambda x, n=neuron, f=plain: f(n, x), nullcontext)
        times: dict[str, list[float]] = {way: [] for way in ways}
        inputs = [x, *neuron.parameters()]
        for repeat in range(repeats + 1):
            results = {}
            for way, (forward, context) in ways.items():
                with context():
                    start = clock()
                    results[way] = step(forward, inputs, cotangent)
                    if repeat:  # the first compiles
                        times[way].append(clock() - start)
            if repeat == 0:
                for way in ("steps", "plain"):
                    for a, b in zip(results["pass"], results[way], strict=True):
                        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5 * x.numel() ** 0.5)
        found[name] = {way: min(each) * 1e3 for way, each in times.items()}
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    lowest = (float("inf"), "")
    for shape in SIZES:
        count = torch.Size(shape).numel()
        print(f"{list(shape)}, {count} values, float32, {options.threads} thread(s), best of {options.repeats}")
        print(f"{'neuron':28s}{'one pass':>10s}{'steps':>10s}{'plain':>10s}   steps/pass   plain/pass")
        for name, best in measure(shape, options.repeats).items():
            ratios = {way: best[way] / best["pass"] for way in best}
            shown = "".join(f"{best[way]:8.2f}ms" for way in best)
            print(f"{name:28s}{shown}{ratios['steps']:12.1f}{ratios['plain']:12.1f}", flush=True)
            if count > SMALL:
                lowest = min(lowest, (ratios["plain"], f"{name}, {list(shape)}"))
    verdict = "reached" if lowest[0] >= TARGET else "MISSED"
    print(f"lowest ratio to the loop by hand: {lowest[0]:.1f} ({lowest[1]}), target {TARGET:g}: {verdict}")


if __name__ == "__main__":
    main()
