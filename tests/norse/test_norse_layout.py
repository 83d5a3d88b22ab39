"""Chunks: every neuron once, beside its own parameters."""

from __future__ import annotations

from math import prod

import numpy as np
import pytest
import torch

from nirbridge_norse.fused.layout import CHUNK, Order, make_layout

FEATURES = [(), (1,), (10,), (CHUNK - 1,), (CHUNK,), (CHUNK + 1,), (3, 7, 5), (2, 40, 40)]


@pytest.mark.parametrize("batch", [1, 2, 7, 300])
@pytest.mark.parametrize("features", FEATURES)
def test_every_neuron_once_beside_its_parameters(features, batch):
    size = prod(features)
    numbers = torch.arange(size).reshape(features)
    layout = make_layout(Order(features), batch, [numbers])
    assert (seen_by(layout, batch, numbers) == np.tile(np.arange(size), batch)).all()


@pytest.mark.parametrize("batch", [1, 7])
@pytest.mark.parametrize("shape", [(), (1, 1), (1, 1, 1), (6, 1, 1), (6, 30, 40), (30, 1)])
def test_parameters_that_repeat_are_laid_out_once(shape, batch):
    """In memory [H, W, C] those of channels repeat after C neurons, and those of a layer after one."""
    values = torch.arange(prod(shape)).reshape(shape)
    order = Order((6, 30, 40), channels_last=True)
    layout = make_layout(order, batch, [values])
    assert layout.period == {1: 1, 6: 6}.get(values.numel(), 7200)
    whole = np.broadcast_to(values.numpy(), order.features).transpose(1, 2, 0).ravel()
    assert (seen_by(layout, batch, values) == np.tile(whole, batch)).all()
    assert len(layout.parameters(values)) <= max(CHUNK, layout.period)


def seen_by(layout, batch, values):
    """The parameter beside each neuron."""
    numbers = layout.parameters(values)
    seen = np.full(batch * prod(layout.order.features), -1)
    for first, last, offset, group in layout.chunks:
        assert 0 < last - first <= CHUNK
        assert (seen[first:last] == -1).all()
        seen[first:last] = numbers[offset : offset + last - first]
        assert group == 0
    return seen


@pytest.mark.parametrize("batch", [1, 5])
@pytest.mark.parametrize("features", [(4, 30, 40), (4, 6, 6)])
def test_no_chunk_holds_two_groups(features, batch):
    channel = torch.arange(4).reshape(4, 1, 1)
    layout = make_layout(Order(features), batch, [], channel)
    owner = np.tile(np.broadcast_to(channel.numpy(), features).ravel(), batch)
    covered = 0
    for first, last, _, group in layout.chunks:
        assert (owner[first:last] == group).all()
        covered += last - first
    assert covered == len(owner)


def test_small_samples_share_a_chunk():
    numbers = [torch.arange(10)]
    assert len(make_layout(Order((10,)), 100, numbers).chunks) == 1
    assert len(make_layout(Order((10,)), 103, numbers).chunks) == 2


def test_one_number_that_stands_everywhere_takes_one_place():
    same = torch.full((4, 5), 2.0)
    assert Order((4, 5)).period([same, torch.ones(1)]) == 1
    same[1, 2] = 3.0
    assert Order((4, 5)).period([same, torch.ones(1)]) == 20


def test_no_pass_may_reorder_or_fuse_operations():
    from nirbridge_norse.fused import kernels, steps

    found = {**vars(kernels), **vars(steps)}
    passes = [value for value in found.values() if hasattr(value, "targetoptions")]
    assert len(passes) == 13
    assert not any(value.targetoptions.get("fastmath") for value in passes)
