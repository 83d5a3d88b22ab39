"""The oracle of a conversion: the module itself, with a one-spike code put behind each of its neurons."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from nirbridge.converting import Conversion, convert_in_full
from nirbridge.converting.analog import analog_graph
from nirbridge.converting.evaluate import functions, values
from tests.converting.test_one_spike_exact import binary, decoded, encoded

PHASES, BASE = 16, 1.3


def analog_output(net: nn.Module, x: np.ndarray) -> np.ndarray:
    """What the graph that is read from a module gives, in double precision."""
    graph, whole = analog_graph(net, x.shape[1:]), torch.as_tensor(x)
    with torch.no_grad():
        found = next(y for name, _, y in values(graph, functions(graph, whole.dtype), whole) if name == graph.output)
        for final in graph.finals:
            found = final.run(found)
    return found.numpy()


def assert_exact(net: nn.Module, x: np.ndarray, runtimes: tuple[str, ...] = ("reference", "norse")) -> Conversion:
    """Converts ``net``, in double precision, and compares with torch and with the oracle.

    1. The analog graph gives what the module gives.
    2. The spiking graph gives what the analog graph gives when every neuron sends its code instead of its value.
    """
    net = net.double().eval()
    with torch.no_grad():
        expected = net(torch.as_tensor(x)).numpy()
    assert np.ptp(expected) > 0, "the test data exercise nothing"
    np.testing.assert_allclose(analog_output(net, x), expected, rtol=1e-10, atol=1e-12)
    conversion = convert_in_full(net, x, phases=PHASES, base=BASE)
    answer = coded_output(conversion, x)
    for runtime in runtimes:
        np.testing.assert_allclose(decoded(conversion, x, runtime)[1], answer, rtol=1e-9, atol=1e-11)
    return conversion


def coded_output(conversion: Conversion, x: np.ndarray) -> np.ndarray:
    """The output of the analog graph with a code behind every neuron and at the input."""
    graph = conversion.coded
    assert graph is not None
    run = dict(functions(graph, torch.float64))
    for layer in conversion.layers:
        run[layer.name] = nn.Sequential(_Called(run[layer.name]), _Coded(layer.scale))
    code = torch.as_tensor(digits(x, conversion.options["input_base"]))
    with torch.no_grad():
        return next(y for name, _, y in values(graph, run, code) if name == graph.output).numpy()


def digits(x: np.ndarray, base: float) -> np.ndarray:
    """x in digits of 0 and 1 of ``base``, in units of its largest, the sign apart."""
    scale = float(np.abs(x).max())
    if base == 2:
        return binary(x, scale, PHASES)
    rest, code = np.abs(x) / scale, np.zeros(x.shape)
    for k in range(1, PHASES + 1):
        digit = rest >= base**-k
        rest, code = rest - digit * base**-k, code + digit * base**-k
    return np.sign(x) * code * scale


class _Called(nn.Module):
    def __init__(self, function: object) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


class _Coded(nn.Module):
    def __init__(self, scale: np.ndarray) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        return torch.as_tensor(encoded(x.numpy(), self.scale, BASE, PHASES))
