"""Augmentations: every frame of a sample alike, values only moved or taken away."""

import math

import pytest

from nirbridge.errors import InputError

torch = pytest.importorskip("torch")
from nirbridge_events import datasets  # noqa: E402  it needs torch
from nirbridge_events.augmentations import cut_out, rotated  # noqa: E402  it needs torch


def test_flip_and_roll_moves_all_frames_of_a_sample_alike():
    torch.manual_seed(0)
    frames = torch.arange(2 * 2 * 6 * 7.0).reshape(2, 2, 6, 7)
    moves = {
        (f, dy, dx): (frames.flip(-1) if f else frames).roll((dy, dx), (2, 3))
        for f in (0, 1)
        for dy in range(-2, 3)
        for dx in range(-2, 3)
    }
    augment, seen = datasets.FlipAndRoll(roll=2), set()
    for _ in range(600):
        out = augment(frames)
        seen |= {move for move, moved in moves.items() if torch.equal(moved, out)}
        assert any(torch.equal(moved, out) for moved in moves.values())
    assert seen == set(moves)
    assert torch.equal(datasets.FlipAndRoll(0, 0)(frames), frames)
    with pytest.raises(InputError, match="roll -1"):
        datasets.FlipAndRoll(-1)


FRAMES = torch.arange(1, 2 * 2 * 9 * 9 + 1.0).reshape(2, 2, 9, 9)


@pytest.mark.parametrize("shape", [(1, 2, 9, 9), (3, 1, 48, 48)])
def test_a_rotation_by_right_angles_is_exact(shape):
    frames = torch.arange(1.0, math.prod(shape) + 1).reshape(shape)
    for quarter in range(-2, 3):
        assert torch.equal(rotated(frames, 90 * quarter), torch.rot90(frames, quarter, (-2, -1)))


@pytest.mark.parametrize("degrees", [-45, -17.3, 0, 3, 30, 44.9, 120])
@pytest.mark.parametrize("shape", [(2, 2, 48, 48), (1, 1, 26, 34)])
def test_a_rotation_equals_torchvisions(shape, degrees):
    functional = pytest.importorskip("torchvision.transforms.functional")
    frames = torch.arange(1.0, math.prod(shape) + 1).reshape(shape)
    ours, theirs = rotated(frames, degrees), functional.rotate(frames, degrees)
    # Where a source lies just between two pixels, rounding may choose the other.
    assert (ours != theirs).float().mean() < 0.005


def test_a_rotation_moves_every_frame_alike_and_invents_nothing():
    frames = FRAMES * 0 + FRAMES[:1, :1]
    turned = rotated(frames, 31)
    assert all(torch.equal(turned[t, p], turned[0, 0]) for t in range(2) for p in range(2))
    assert set(turned.unique().tolist()) <= {0.0, *frames.unique().tolist()}
    assert turned[0, 0, 4, 4] == frames[0, 0, 4, 4]
    assert turned[0, 0, 0, 0] == 0


@pytest.mark.parametrize(
    ("row", "column", "rows", "columns"), [(4, 4, (2, 6), (2, 6)), (0, 8, (0, 2), (6, 9)), (8, 0, (6, 9), (0, 2))]
)
def test_a_part_is_cut_out(row, column, rows, columns):
    kept = torch.ones(9, 9)
    kept[slice(*rows), slice(*columns)] = 0
    assert torch.equal(cut_out(FRAMES, row, column, 0.5), FRAMES * kept)


def test_neuromorphic_augment_makes_as_many_changes_as_told():
    torch.manual_seed(0)
    flipped = FRAMES.flip(-1)
    plain = datasets.NeuromorphicAugment(count=0)
    assert {torch.equal(plain(FRAMES), FRAMES) for _ in range(20)} == {True, False}
    for out in (plain(FRAMES) for _ in range(20)):
        assert torch.equal(out, FRAMES) or torch.equal(out, flipped)
    only_cut = datasets.NeuromorphicAugment(roll=0, degrees=0, cut=0.5, flip=0)
    zeros = [int((only_cut(FRAMES)[0, 0] == 0).sum()) for _ in range(200)]
    # Drawn twice of three, one of which cuts: no cut, one, or two, of 4x4 pixels or less at the border.
    assert min(zeros) == 0
    assert max(zeros) > 16
    assert 0.3 < sum(zero == 0 for zero in zeros) / 200 < 0.6
    sample = datasets.NeuromorphicAugment()(FRAMES)
    assert (sample.shape, sample.dtype) == (FRAMES.shape, FRAMES.dtype)
    assert set(sample.unique().tolist()) <= {0.0, *FRAMES.unique().tolist()}


@pytest.mark.parametrize("wrong", [{"degrees": 181}, {"cut": 1.5}, {"count": -1}, {"roll": -1}, {"flip": 2}])
def test_augmentations_out_of_range(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        datasets.NeuromorphicAugment(**wrong)
