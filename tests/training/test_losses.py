"""Losses against their formulas in numpy."""

import numpy as np
import pytest
import torch

from nirbridge.errors import InputError
from nirbridge.training import make_loss, mean_cross_entropy, tet_loss
from training.loop import asked

RNG = np.random.default_rng(0)
OUTPUTS = RNG.normal(size=(3, 4, 5))
LABELS = np.array([0, 4, 2, 2])


def cross_entropy(logits):
    """-log softmax(logits)[label], the mean over the batch."""
    shifted = logits - logits.max(1, keepdims=True)
    log = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    return -log[np.arange(len(LABELS)), LABELS].mean()


def test_mean_cross_entropy():
    found = mean_cross_entropy(torch.from_numpy(OUTPUTS), torch.from_numpy(LABELS))
    assert found.item() == pytest.approx(cross_entropy(OUTPUTS.mean(0)), abs=1e-12)


@pytest.mark.parametrize("mu", [0.0, 1e-3, 0.3, 1.0])
def test_tet_loss(mu):
    each = np.mean([cross_entropy(step) for step in OUTPUTS])
    expected = (1 - mu) * each + mu * ((OUTPUTS - 1.0) ** 2).mean()
    found = tet_loss(torch.from_numpy(OUTPUTS), torch.from_numpy(LABELS), mu=mu)
    assert found.item() == pytest.approx(expected, abs=1e-12)


def test_losses_by_name_take_options():
    x, y = torch.from_numpy(OUTPUTS), torch.from_numpy(LABELS)
    assert make_loss("tet", mu=0.3)(x, y) == tet_loss(x, y, mu=0.3)
    assert make_loss("mean-ce", smoothing=0.1)(x, y) > 0
    with pytest.raises(InputError, match="unknown loss 'hinge'"):
        make_loss("hinge")
    with pytest.raises(InputError, match="loss 'tet': unknown option 'nu'"):
        make_loss("tet", nu=1)
    for name, option in (
        ("tet", {"mu": 2}),
        ("tet", {"mu": "x"}),
        ("mean-ce", {"smoothing": 7}),
        ("mean-ce", {"smoothing": -0.1}),
    ):
        with pytest.raises(InputError, match="loss") as error:
            make_loss(name, **option)
        assert "\n" not in str(error.value)


def test_wrong_shapes_are_one_line():
    for outputs, labels in (((4, 5), (4,)), ((3, 4, 5), (3,))):
        with pytest.raises(InputError, match=r"not \[T, B, classes\]") as error:
            mean_cross_entropy(torch.zeros(outputs), torch.zeros(labels, dtype=torch.long))
        assert "\n" not in str(error.value)
    with pytest.raises(InputError, match="mu is 2"):
        tet_loss(torch.zeros(1, 1, 2), torch.zeros(1, dtype=torch.long), mu=2.0)


def test_places_are_samples_and_those_without_a_class_are_left_out():
    """[T, B, classes, *places] by hand: rows in the order of the labels that are known."""
    outputs = torch.from_numpy(RNG.normal(size=(2, 3, 4, 2, 2)))
    labels = torch.tensor([[[0, -1], [2, 3]], [[-1, -1], [-1, -1]], [[1, 0], [-1, 0]]])
    rows, known = asked(outputs, labels)
    assert known.tolist() == [0, 2, 3, 1, 0, 0]
    places = [(0, 0, 0), (0, 1, 0), (0, 1, 1), (2, 0, 0), (2, 0, 1), (2, 1, 1)]
    for index, (sample, i, j) in enumerate(places):
        assert torch.equal(rows[:, index], outputs[:, sample, :, i, j])
    plain = torch.from_numpy(OUTPUTS), torch.from_numpy(LABELS)
    assert all(torch.equal(a, b) for a, b in zip(asked(*plain), plain, strict=True))
    for shape, count in (((4, 5), (4,)), ((3, 4, 5, 2), (4,)), ((3, 4, 5), (3,))):
        with pytest.raises(InputError, match="are not") as error:
            asked(torch.zeros(shape), torch.zeros(count, dtype=torch.long))
        assert "\n" not in str(error.value)
