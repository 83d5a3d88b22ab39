"""Writes the table of torchvision's networks into docs/conversion.md: ``python -m docs.generate_conversions``.

It takes about two minutes and 4 GB (VGG's).  Weights are random, since none are downloaded; the statistics of batch
normalisations are those of the pictures.
"""

from __future__ import annotations

import re
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision
from torch import nn
from torch.nn import functional

import nirbridge
from nirbridge.converting import convert_in_full
from nirbridge.converting.analog import analog_graph
from nirbridge.converting.evaluate import functions, values
from nirbridge.errors import ExportError, Problem

PAGE = Path(__file__).with_name("conversion.md")
BEGIN, END = "<!-- generate_conversions: begin -->\n", "<!-- generate_conversions: end -->\n"
NETWORKS = (
    "resnet18", "resnet50", "vgg11_bn", "mobilenet_v2", "squeezenet1_1", "densenet121", "googlenet",
    "shufflenet_v2_x0_5", "regnet_x_400mf", "convnext_tiny", "vit_b_16", "efficientnet_b0", "mobilenet_v3_small",
)  # fmt: skip
SIZE, PICTURES, SHOWN = 64, 8, 2
_HEAD = """| network | 10⁶ weights | spiking layers | graph − torch | correlation |
| --- | ---: | ---: | ---: | ---: |
"""


def network(name: str) -> nn.Module:
    """A network of torchvision with random weights, in evaluation."""
    torch.manual_seed(0)
    options: dict[str, Any] = {"aux_logits": False, "init_weights": False} if name == "googlenet" else {}
    net = getattr(torchvision.models, name)(weights=None, **options)
    for module in net.modules():
        if name == "googlenet" and isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(module.weight)  # its own way takes a minute
    return net.eval()


def pictures(name: str, count: int = PICTURES) -> torch.Tensor:
    """Random smooth pictures, of mean 0 and deviation 1."""
    size = 224 if name.startswith("vit") else SIZE
    coarse = torch.randn(count, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    smooth = functional.interpolate(coarse, size=(size, size), mode="bicubic")
    return smooth / smooth.std()


def settle(net: nn.Module, x: torch.Tensor) -> nn.Module:
    """The network with the statistics of ``x`` in its batch normalisations."""
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
            module.train()
    with torch.no_grad():
        net(x)
    return net.eval()


def row(name: str) -> str:
    """The network's line of the table."""
    net, x = network(name), pictures(name)
    weights = sum(parameter.numel() for parameter in net.parameters()) / 1e6
    begin = f"| {name} | {weights:.1f} |"
    try:
        analog_graph(net, tuple(x.shape[1:]))
    except ExportError as error:
        return f"{begin} refused: {reasons(error.problems)} | | |\n"
    settle(net, x)
    conversion = convert_in_full(net, x.numpy())
    shown = x[:SHOWN]
    with torch.no_grad():
        expected = net(shown).numpy()
    with nirbridge.compile(conversion.graph, "norse") as program:
        found = program.run(shown.numpy()[None]).output[-1]
    alike = np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(found, expected, strict=True)])
    return f"{begin} {len(conversion.layers)} | {_difference(conversion, net, shown):.0e} | {alike:.2f} |\n"


def _difference(conversion: Any, net: nn.Module, x: torch.Tensor) -> float:
    """The largest difference between the graph that was read and the module, in units of the largest output."""
    graph = conversion.analog
    with torch.no_grad():
        expected = net(x)
        found = next(y for name, _, y in values(graph, functions(graph, x.dtype), x) if name == graph.output)
    return float((found - expected).abs().max() / expected.abs().max())


def reasons(problems: tuple[Problem, ...]) -> str:
    """The layers that stop a conversion, the most frequent first, each with their number."""
    kinds = Counter(_kind(problem) for problem in problems)
    return ", ".join(f"{kind} ({count})" for kind, count in kinds.most_common())


def _kind(problem: Problem) -> str:
    module = re.search(r"^module .*\((\w+)\)$", problem.where)
    function = re.search(r"^function '(\w+)'", problem.where)
    if "moves or takes parts" in problem.found:
        return f"`{problem.found.split(chr(39))[1].rpartition('.')[2]}`"
    if function and "multiplies two tensors" in problem.found:
        return "products of two signals"
    return module.group(1) if module else f"`{function.group(1)}`" if function else problem.where


def generate(names: tuple[str, ...] = NETWORKS) -> str:
    """The table."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _HEAD + "".join(row(name) for name in names)


def main() -> None:
    """Writes the table between its marks."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, _, behind = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n{generate()}\n{END}{behind}", encoding="utf-8")


if __name__ == "__main__":
    main()
