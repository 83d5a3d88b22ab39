"""Chunks: every neuron once, beside its own parameters."""

from __future__ import annotations

from math import prod

import numpy as np
import pytest
import torch

from nirbridge_norse.fused.layout import CHUNK, make_layout

FEATURES = [(), (1,), (10,), (CHUNK - 1,), (CHUNK,), (CHUNK + 1,), (3, 7, 5), (2, 40, 40)]


@pytest.mark.parametrize("batch", [1, 2, 7, 300])
@pytest.mark.parametrize("features", FEATURES)
def test_every_neuron_once_beside_its_parameters(features, batch):
    layout = make_layout(features, batch)
    size = prod(features)
    numbers = layout.parameters(torch.arange(size).reshape(features))
    seen = np.full(batch * size, -1)
    for first, last, offset, group in layout.chunks:
        assert 0 < last - first <= CHUNK
        assert (seen[first:last] == -1).all()
        seen[first:last] = numbers[offset : offset + last - first]
        assert group == 0
    np.testing.assert_array_equal(seen, np.tile(np.arange(size), batch))


@pytest.mark.parametrize("batch", [1, 5])
@pytest.mark.parametrize("features", [(4, 30, 40), (4, 6, 6)])
def test_no_chunk_holds_two_groups(features, batch):
    channel = np.arange(4).reshape(4, 1, 1)
    layout = make_layout(features, batch, channel)
    owner = np.tile(np.broadcast_to(channel, features).ravel(), batch)
    covered = 0
    for first, last, _, group in layout.chunks:
        assert (owner[first:last] == group).all()
        covered += last - first
    assert covered == len(owner)


def test_small_samples_share_a_chunk():
    assert len(make_layout((10,), 100).chunks) == 1
    assert len(make_layout((10,), 103).chunks) == 2


def test_no_pass_may_reorder_or_fuse_operations():
    from nirbridge_norse.fused import kernels, steps

    found = {**vars(kernels), **vars(steps)}
    passes = [value for value in found.values() if hasattr(value, "targetoptions")]
    assert len(passes) == 11
    assert not any(value.targetoptions.get("fastmath") for value in passes)
