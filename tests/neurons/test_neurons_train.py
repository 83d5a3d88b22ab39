"""The surrogate gradients do their work: small networks learn, thresholds and decays move."""

import pytest
import torch
from torch import nn

from nirbridge.neurons import LMHT, QCFS, Barrier, MultiLevelIF, MultiLevelLIF, OverTime

STEPS = 6


def stripes(count, generator):
    """Sequences of 8 noisy inputs: class 0 moves up, class 1 down, 2 stays; no single step tells them apart."""
    label = torch.arange(count) % 3
    start = torch.randint(0, 8, (count,), generator=generator)
    speed = torch.tensor([1, -1, 0])[label]
    position = (start + speed * torch.arange(STEPS)[:, None]) % 8
    x = nn.functional.one_hot(position, 8).float() + 0.1 * torch.randn(STEPS, count, 8, generator=generator)
    return x, label


NEURONS = {
    "soft": lambda: MultiLevelLIF(3, 0.5, decay=0.8, learn_threshold=True, learn_decay=True),
    "hard": lambda: MultiLevelLIF(3, 0.5, decay=0.5, reset="value", surrogate="tet"),
    "transformer": lambda: MultiLevelLIF(3, 0.5, decay=0.5, gain=0.5, reset="value", scaled=True, surrogate="sigmoid"),
    "sum": lambda: MultiLevelLIF(2, 0.5, decay=0.8, surrogate_mode="sum"),
    "levels": lambda: MultiLevelIF(4, 1.0, learn_threshold=True),
    "barrier": lambda: Barrier(4, 1.0, clipped=True),
    "lmht": lambda: LMHT(4, STEPS, 0.5),
}


@pytest.mark.parametrize("name", NEURONS)
def test_a_network_learns_to_tell_motion(name):
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(1)
    neurons = [NEURONS[name](), NEURONS[name]()]
    net = OverTime(nn.Sequential(nn.Linear(8, 32), neurons[0], nn.Linear(32, 32), neurons[1], nn.Linear(32, 3)))
    before = {key: value.clone() for key, value in net.named_parameters()}
    x, label = stripes(96, generator)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    losses = []
    for _ in range(120):
        loss = nn.functional.cross_entropy(net(x).mean(0), label)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    moved = {key for key, value in net.named_parameters() if not torch.equal(value, before[key])}
    assert moved == set(before)
    assert losses[0] > 0.9
    assert sum(losses[-10:]) / 10 < 0.35


def test_a_qcfs_network_becomes_lmht_without_retraining():
    """Train with QCFS (Q = 4), replace every activation by LM-HT with L·T = 4: the logits stay the same."""
    torch.manual_seed(0)
    x = torch.rand(200, 2) * 2 - 1
    label = (x[:, 0] * x[:, 1] > 0).long()
    ann = nn.Sequential(nn.Linear(2, 32), QCFS(4, 2.0), nn.Linear(32, 32), QCFS(4, 2.0), nn.Linear(32, 2))
    optimizer = torch.optim.Adam(ann.parameters(), lr=1e-2)
    for _ in range(200):
        loss = nn.functional.cross_entropy(ann(x), label)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.25
    ann.double()
    inputs = x.double()
    with torch.no_grad():
        expected = ann(inputs)
        for levels, steps in ((4, 1), (2, 2), (1, 4)):
            layers = [
                LMHT(levels, steps, (layer.scale / levels), layer.scale / levels / 2)
                if isinstance(layer, QCFS)
                else layer
                for layer in ann
            ]
            logits = OverTime(nn.Sequential(*layers)).double()(inputs.expand(steps, -1, -1)).mean(0)
            torch.testing.assert_close(logits, expected, rtol=0, atol=1e-12)
