"""Batches: their order, their last one, and their shares over several processes."""

from __future__ import annotations

from dataclasses import replace
from itertools import zip_longest

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from nirbridge.errors import FileError, InputError
from training import Configuration, Data, Run
from training.batches import Share, SizedBatches
from training.distributed import Processes

SEED = 5


def taken(samples: int, batch: int, training: bool = True, share: Share | None = None) -> list[list[int]]:
    """The numbers of the samples in each batch."""
    torch.manual_seed(SEED)
    dataset = TensorDataset(torch.arange(samples)[:, None], torch.arange(samples))
    batches = SizedBatches(dataset, batch, 1, False, training, share)
    found = [labels.tolist() for _, labels in batches]
    assert len(batches) == len(found)
    return found


def test_one_process_takes_the_order_of_a_shuffling_loader():
    found = taken(23, 5)
    torch.manual_seed(SEED)
    expected = [labels.tolist() for (labels,) in DataLoader(TensorDataset(torch.arange(23)), 5, shuffle=True)]
    assert found == expected


@pytest.mark.parametrize(("samples", "sizes"), [(17, [8, 9]), (16, [8, 8]), (18, [8, 8, 2]), (9, [9]), (1, [1])])
def test_a_last_single_sample_joins_the_batch_before_it(samples, sizes):
    found = taken(samples, 8)
    assert [len(batch) for batch in found] == sizes
    assert sorted(sample for batch in found for sample in batch) == list(range(samples))


def test_tests_take_every_sample_in_order():
    assert taken(9, 4, training=False) == [[0, 1, 2, 3], [4, 5, 6, 7], [8]]


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("samples", [16, 17, 18, 19, 20, 23])
def test_shares_together_are_the_batches_of_one_process(samples, count):
    """A share of one sample, which has no statistics, is filled up with samples of the same batch."""
    alone = taken(samples, 8)
    shares = [taken(samples, 8, share=Share(count, rank, SEED)) for rank in range(count)]
    for parts, batch in zip_longest(zip(*shares, strict=True), alone):
        assert {sample for part in parts for sample in part} == set(batch)
        assert min(map(len, parts)) >= 2
    tests = [taken(samples, 8, False, Share(count, rank, None)) for rank in range(count)]
    assert sorted(sample for share in tests for batch in share for sample in batch) == list(range(samples))


NORMALISED = Configuration(
    data={"name": "noise"}, network={"name": "sparse-resnet18", "width": 1}, steps=1, epochs=1, batch=4
)


def noise(samples: int) -> Data:
    dataset = TensorDataset(torch.rand(samples, 1, 8, 8), torch.arange(samples) % 2)
    return Data(dataset, dataset, (1, 8, 8), 2)


def test_batch_normalisation_at_a_single_place_survives_a_last_single_sample(tmp_path):
    Run(NORMALISED, noise(9), Processes(0, 1, torch.device("cpu")), tmp_path).train()


@pytest.mark.parametrize(("batch", "samples", "count"), [(1, 8, 1), (4, 1, 1), (3, 8, 2)])
def test_batches_without_statistics_are_refused(tmp_path, batch, samples, count):
    run = Run(replace(NORMALISED, batch=batch), noise(samples), Processes(0, count, torch.device("cpu")), tmp_path)
    with pytest.raises(InputError, match=f"batch={batch}: batch normalisation has no statistics") as error:
        run.train()
    assert "\n" not in str(error.value)


def test_a_network_without_batch_normalisation_takes_single_samples(tmp_path):
    dense = replace(NORMALISED, network={"name": "small-dense", "width": 4}, batch=1)
    Run(dense, noise(3), Processes(0, 1, torch.device("cpu")), tmp_path).train()


class Damaged(TensorDataset):
    """The third sample cannot be read."""

    def __getitem__(self, index):
        if index == 2:
            raise FileError("file 'c.bin'", "is damaged", "Copy it again")
        return super().__getitem__(index)


@pytest.mark.parametrize("workers", [0, 1])
def test_what_a_data_set_says_of_a_sample_arrives_whole(workers: int) -> None:
    """From the processes that load too, which torch would turn into a RuntimeError with their traceback."""
    batches = SizedBatches(Damaged(torch.rand(4, 2), torch.arange(4)), 2, 1, False, False, workers=workers)
    with pytest.raises(FileError, match=r"^file 'c.bin': is damaged. Copy it again.$"):
        list(batches)
