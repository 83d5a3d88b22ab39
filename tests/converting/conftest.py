"""Networks that are trained once for all tests here."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from tests.converting.networks import Cnn, Mlp, PreResnet, Trained, trained


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Small networks run faster, and the same everywhere, on one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def mlp() -> Trained:
    torch.manual_seed(0)
    return trained(Mlp(), epochs=12)


@pytest.fixture(scope="session")
def pre_resnet() -> Trained:
    torch.manual_seed(0)
    return trained(PreResnet(), epochs=6)


@pytest.fixture(scope="session")
def cnn() -> Trained:
    torch.manual_seed(0)
    return trained(Cnn(), epochs=6)
