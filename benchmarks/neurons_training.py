"""Forward and backward of the training neurons: one pass against loops over the steps, in one run.

"steps" is nirbridge's own loop with torch operations (``nirbridge.neurons.fused.stepwise``); "plain" is the loop that
one writes by hand: every step its own operations, each threshold its own autograd function. All compute the same
outputs and the same gradients, of the input and of every parameter, which is checked first. The best of interleaved
repeats; with one thread in time of the processor, since on a busy machine the clock runs for others too.

First all neuron layers of a training step of networks in ``examples/configs``, at their T and batch, summed: the target
is for these. Then single layers by size, down to one whose calls cost more than its arithmetic.

    python benchmarks/neurons_training.py [--repeats 9] [--threads 1] [--configs examples/configs]
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import torch
from torch import Tensor, nn

from nirbridge.neurons import LMHT, Barrier, MultiLevelIF, MultiLevelLIF, Sigmoid, SpikingNeuron, Triangle
from nirbridge.neurons.fused import stepwise

EXAMPLES = Path(__file__).parents[1] / "examples"
sys.path.append(str(EXAMPLES))

from training import Configuration, read_configuration, stages  # noqa: E402

SIZES = ((10, 40, 64, 16, 16), (8, 8, 32, 24, 24), (4, 64, 32, 16, 16), (4, 8, 16, 8, 8))
TARGET = 3.0
NETWORKS = {
    "M-LIF S=3, small network, N-MNIST": ("nmnist_mlif", (2, 34, 34), ()),
    "LIF (S=1), small network, N-MNIST": ("nmnist_mlif", (2, 34, 34), ("neuron.lanes=1",)),
    "M-LIF S=4, VGGSNN, DVS-CIFAR10": ("dvs_cifar10_vggsnn", (2, 48, 48), ("batch=8",)),
    "M-LIF S=3, VGG-16, CIFAR-10": ("cifar10_vgg16_mlif", (3, 32, 32), ()),
    "multi-level IF N=4 and barriers, Sparse-ResNet-18": ("cifar10_sparse_resnet18", (3, 32, 32), ()),
    "LM-HT L=2, ResNet-18, CIFAR-10": ("cifar10_resnet18_lmht", (3, 32, 32), ()),
}
"""A configuration, the shape of its samples, and changes; the batch of VGGSNN is cut from 128, for memory."""


class Heaviside(torch.autograd.Function):
    """1 where r > 0 (or >=); backward the surrogate's slope."""

    @staticmethod
    def forward(ctx, r: Tensor, surrogate, strict: bool) -> Tensor:
        ctx.save_for_backward(r)
        ctx.surrogate = surrogate
        return (r > 0 if strict else r >= 0).to(r.dtype)

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None, None]:
        (r,) = ctx.saved_tensors
        return grad * ctx.surrogate.derivative(r), None, None


def plain_one_hot(neuron: MultiLevelLIF, x: Tensor) -> Tensor:
    """M-LIF lane by lane: lane s is what is above w_s θ and not above w_{s+1} θ."""
    theta, decay, v, outputs = neuron.threshold, neuron.decay, torch.zeros_like(x[0]), []
    for current in x:
        u = decay * v + current
        passed = [Heaviside.apply(u / (2.0**s * theta) - 1, neuron.surrogate, True) for s in range(neuron.lanes)]
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
            level = level + Heaviside.apply(u / q - n, neuron.surrogate, False)
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


PLAIN: dict[type[nn.Module], Callable[..., Tensor]] = {
    MultiLevelLIF: plain_one_hot,
    MultiLevelIF: plain_uniform,
    Barrier: plain_barrier,
    LMHT: plain_lmht,
}


def neurons(steps: int) -> dict[str, nn.Module]:
    """Those whose single layers are measured."""
    triangle = Triangle(0.3)
    return {
        "M-LIF S=3, soft, learned": MultiLevelLIF(
            3, 0.75, 0.9, learn_threshold=True, learn_decay=True, surrogate=triangle
        ),
        "M-LIF S=4, hard": MultiLevelLIF(4, 0.75, 0.5, reset="value", surrogate=triangle),
        "LIF (S=1)": MultiLevelLIF(1, 0.75, 0.5, surrogate=triangle),
        "multi-level IF N=4": MultiLevelIF(4, surrogate=Sigmoid(5.0)),
        "multi-level IF N=8, learned": MultiLevelIF(8, surrogate=Sigmoid(5.0), learn_threshold=True),
        "barrier N=4": Barrier(4),
        "LM-HT L=4": LMHT(4, steps, 0.5),
    }


def step(forward: Callable[[Tensor], Tensor], inputs: list[Tensor], cotangent: Tensor) -> tuple[Tensor, ...]:
    """One forward and backward; gives the gradients of the inputs, the first of which is the current."""
    return torch.autograd.grad(forward(inputs[0]), inputs, cotangent)


def measure(neuron: nn.Module, shape: tuple[int, ...], repeats: int) -> dict[str, float]:
    """The best milliseconds of each way of one layer."""
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    torch.manual_seed(0)
    x = (torch.randn(shape) + 0.5).requires_grad_()
    cotangent = torch.randn(shape)
    plain = PLAIN[type(neuron)]
    ways = {"pass": (neuron, nullcontext), "steps": (neuron, stepwise)}
    ways["plain"] = (lambda x: plain(neuron, x), nullcontext)
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
    return {way: min(each) * 1e3 for way, each in times.items()}


def layers_of(c: Configuration, input_shape: tuple[int, ...]) -> list[tuple[nn.Module, tuple[int, ...], int]]:
    """A neuron, the feature shape of its layers and how many there are, of the network of a configuration."""
    x = torch.rand(c.steps, 1, *input_shape)
    network = None
    for stage in stages(c, input_shape, num_classes=10):
        network = stage.begin(network, x[0])
    found: dict[tuple[type[nn.Module], tuple[int, ...]], list[nn.Module]] = {}

    def note(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        found.setdefault((type(module), tuple(inputs[0].shape[1:])), []).append(module)

    spiking = [module for module in network.modules() if isinstance(module, SpikingNeuron)]
    hooks = [module.register_forward_pre_hook(note) for module in spiking]
    with torch.no_grad():
        network.eval()(x)
    for hook in hooks:
        hook.remove()
    return [(layers[0], features, len(layers)) for (_, features), layers in found.items()]


def row(name: str, best: dict[str, float]) -> float:
    """Prints a line; the ratio to the loop by hand."""
    ratios = {way: best[way] / best["pass"] for way in best}
    shown = "".join(f"{best[way]:9.2f}ms" for way in best)
    print(f"{name:64s}{shown}{ratios['steps']:12.1f}{ratios['plain']:12.1f}", flush=True)
    return ratios["plain"]


def header(name: str) -> None:
    """Prints the heads of a table."""
    print(f"{name:64s}{'one pass':>11s}{'steps':>11s}{'plain':>11s}   steps/pass   plain/pass")


def training_steps(configs: Path, repeats: int) -> dict[str, float]:
    """The ratio of each network, all its neuron layers together."""
    header("the neurons of a training step")
    lowest = {}
    for name, (config, shape, changes) in NETWORKS.items():
        c = read_configuration(configs / f"{config}.json", changes)
        total: Counter[str] = Counter()
        for neuron, features, number in layers_of(c, shape):
            best = measure(neuron, (c.steps, c.batch, *features), repeats)
            total.update({way: number * milliseconds for way, milliseconds in best.items()})
        lowest[name] = row(f"{name}, T={c.steps}, B={c.batch}", dict(total))
    return lowest


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--configs", type=Path, default=EXAMPLES / "configs")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"float32, {options.threads} thread(s), best of {options.repeats}")
    ratios = training_steps(options.configs, options.repeats)
    singles: dict[str, float] = {}
    for shape in SIZES:
        header(f"one layer, {list(shape)}, {torch.Size(shape).numel()} values")
        for name, neuron in neurons(shape[0]).items():
            singles[f"{name}, {list(shape)}"] = row(name, measure(neuron, shape, options.repeats))
    for what, found in (("single layers", singles), ("training steps", ratios)):
        name = min(found, key=lambda each: found[each])
        print(f"{what}: lowest ratio to the loop by hand {found[name]:.1f} ({name})")
    verdict = "reached" if min(ratios.values()) >= TARGET else "MISSED"
    print(f"target {TARGET:g} for the neurons of a training step: {verdict}")


if __name__ == "__main__":
    main()
