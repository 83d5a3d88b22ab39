"""With T_w = T every layer is the encoding of its ReLU: checked against numpy code of its own."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import nirbridge
from nirbridge.converting import Conversion
from nirbridge.ir import PhaseIF
from tests.converting.networks import Cnn, Mlp, Resnet, Trained, with_statistics
from tests.converting.published import convert_in_full


def binary(x: np.ndarray, scale: float, phases: int) -> np.ndarray:
    """x / scale in binary digits, the sign apart."""
    digits = np.minimum(np.floor(np.abs(x) / scale * 2.0**phases), 2.0**phases - 1)
    return np.sign(x) * digits / 2.0**phases * scale


def encoded(z: np.ndarray, scale: np.ndarray, base: float, phases: int, first: int = 1) -> np.ndarray:
    """What one spike says of relu(z)."""
    a = np.broadcast_to(z / scale, z.shape)
    result = np.zeros(z.shape)
    for k in reversed(range(first, first + phases)):
        result = np.where(a >= base**-k * (1 + 1 / base) / 2, base**-k, result)
    return result * scale


def decoded(conversion: Conversion, x: np.ndarray, runtime: str = "reference") -> tuple[dict, np.ndarray]:
    names = [layer.name for layer in conversion.layers]
    options = {"dtype": "float64"} if runtime == "norse" else {}
    with nirbridge.compile(conversion.graph, runtime, **options) as program:
        run = program.run(x[None], record=names)
    first = conversion.options["first_phase"]
    found = {}
    for layer in conversion.layers:
        spikes = run.records[layer.name]
        assert spikes.sum(axis=0).max() <= 1
        weights = layer.base_out ** -np.arange(first, first + len(spikes), dtype=float)
        found[layer.name] = np.tensordot(weights, spikes, (0, 0)) * layer.scale
    return found, run.output[-1]


def assert_equal_codes(found: np.ndarray, expected: np.ndarray) -> None:
    """No spike differs: values are those of the code, up to the rounding of a product."""
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-300)


def folded(linear: nn.Module, bn: nn.Module) -> tuple[torch.Tensor, torch.Tensor]:
    gain = bn.weight / torch.sqrt(bn.running_var + bn.eps)
    bias = 0 if linear.bias is None else linear.bias
    return gain, bn.bias + gain * (bias - bn.running_mean)


@pytest.mark.parametrize("first", [0, 1, 2])
@pytest.mark.parametrize("bn", ["threshold", "weights"])
def test_mlp_layer_by_layer(mlp: Trained, bn: str, first: int) -> None:
    x, phases, base = mlp.test[:60], 16, 1.3
    conversion = convert_in_full(mlp.module, mlp.train, phases=phases, base=base, bn=bn, first_phase=first)
    found, logits = decoded(conversion, x)
    net: Mlp = mlp.module
    scales = [layer.scale for layer in conversion.layers]
    with torch.no_grad():
        gain, shift = (value.numpy() for value in folded(net.fc1, net.bn))
        (w1, w2, b2, w3, b3) = (
            p.numpy() for p in (net.fc1.weight, net.fc2.weight, net.fc2.bias, net.fc3.weight, net.fc3.bias)
        )
    code = binary(x.reshape(len(x), -1), 1.0, phases)
    act1 = encoded(gain * (code @ w1.T) + shift, scales[0], base, phases, first)
    act2 = encoded(act1 @ w2.T + b2, scales[1], base, phases, first)
    assert_equal_codes(found["act1"], act1)
    assert_equal_codes(found["act2"], act2)
    np.testing.assert_allclose(logits, act2 @ w3.T + b3, rtol=1e-10)


@pytest.mark.parametrize("bn", ["threshold", "weights"])
@pytest.mark.parametrize("shift", [0.0, 0.5])
def test_cnn_with_residual_and_pooling_layer_by_layer(cnn: Trained, bn: str, shift: float) -> None:
    """Also for signed input, whose zero padding must stay zero."""
    x, phases, base = cnn.test[:40] - shift, 16, 1.3
    conversion = convert_in_full(cnn.module, cnn.train - shift, phases=phases, base=base, bn=bn)
    found, logits = decoded(conversion, x)
    net: Cnn = cnn.module
    first, second, pooled = (layer.scale for layer in conversion.layers)
    with torch.no_grad():
        gain1, shift1 = (value[:, None, None].numpy() for value in folded(net.conv1, net.bn1))
        gain2, shift2 = (value[:, None, None].numpy() for value in folded(net.conv2, net.bn2))
        code = torch.as_tensor(binary(x, float(np.abs(cnn.train - shift).max()), phases))
        z = functional.conv2d(code, net.conv1.weight, None, 1, 1).numpy()
        act = encoded(gain1 * z + shift1, first, base, phases)
        z = functional.conv2d(torch.as_tensor(act), net.conv2.weight, None, 1, 1).numpy()
        total = encoded(gain2 * z + shift2 + act, second, base, phases)
        largest = total.reshape(len(x), 12, 4, 2, 4, 2).max(axis=(3, 5))
        mean = encoded(largest.reshape(len(x), 12, 2, 2, 2, 2).mean(axis=(3, 5)), pooled, base, phases)
        expected = net.fc(torch.as_tensor(mean.reshape(len(x), -1))).numpy()
    for name, values in zip(("relu", "relu_1", "avgpool.spike"), (act, total, mean), strict=True):
        assert_equal_codes(found[name], values)
    np.testing.assert_allclose(logits, expected, rtol=1e-10)


@pytest.mark.parametrize("negative", [False, True])
def test_normalisation_in_threshold_and_in_weights_spike_alike(negative: bool) -> None:
    torch.manual_seed(1)
    net = with_statistics(Resnet().double(), negative=negative)
    x = np.random.default_rng(0).standard_normal((4, 3, 8, 8))
    threshold, weights = (convert_in_full(net, x, phases=16, bn=bn) for bn in ("threshold", "weights"))
    (found, logits), (expected, other) = decoded(threshold, x), decoded(weights, x)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-9)
    np.testing.assert_allclose(logits, other, rtol=1e-9)
    kinds = {np.ndim(node.v_threshold) for node in threshold.graph.nodes.values() if type(node) is PhaseIF}
    assert kinds == {0, 3}, "one neuron has a threshold a channel, the others one number"


def test_reference_and_norse_send_the_same_spikes(cnn: Trained) -> None:
    conversion = convert_in_full(cnn.module, cnn.train, phases=16, base=1.3)
    (found, _), (expected, _) = (decoded(conversion, cnn.test[:60], name) for name in ("norse", "reference"))
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values)


def test_a_shorter_wait_lets_wrong_spikes_through(mlp: Trained) -> None:
    """The error falls with the wait and is that of the code alone from T_w = T on."""
    x = mlp.test[:100]
    exact = None
    errors = []
    for wait in (16, 12, 8, 4, 0):
        found, _ = decoded(convert_in_full(mlp.module, mlp.train, phases=16, base=1.3, wait=wait), x)
        exact = found["act1"] if exact is None else exact
        errors.append(float(np.abs(found["act1"] - exact).mean()))
    assert errors == sorted(errors)
    assert errors[1] < 0.01 * errors[-1]


def test_weights_and_biases_are_normalised_as_the_text_says() -> None:
    """w λ_in/λ_out and b/λ_out: per channel behind convolutions, per layer behind linear layers."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 5))
    net = nn.Sequential(*net, nn.ReLU(), nn.Linear(5, 2)).double()
    x = np.random.default_rng(0).random((30, 1, 8, 8))
    graph = convert_in_full(net, x).graph
    with torch.no_grad():
        first = torch.relu(net[0](torch.as_tensor(x)))
        second = torch.relu(net[2](first))
        third = torch.relu(net[5](second.flatten(1)))
        lam1, lam2, lam3 = first.amax((0, 2, 3)), second.amax((0, 2, 3)), third.max()
        weight = (net[2].weight * lam1[:, None, None] / lam2[:, None, None, None]).numpy()
        bias = (net[2].bias / lam2).numpy()
        matrix = (net[5].weight * lam2.repeat_interleave(16) / lam3).numpy()
    np.testing.assert_allclose(graph.nodes["2"].weight, weight, rtol=1e-12)
    np.testing.assert_allclose(graph.nodes["3"].v_init.ravel(), bias, rtol=1e-12)
    np.testing.assert_allclose(graph.nodes["5"].weight, matrix, rtol=1e-12)
    assert graph.nodes["3"].v_threshold == 1
    assert (graph.nodes["1"].base_in, graph.nodes["3"].base_in) == (2.0, graph.nodes["3"].base_out)
