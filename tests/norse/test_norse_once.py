"""Windows of one spike that send its step: the same bits as frames of spikes, and really sent."""

from __future__ import annotations

from itertools import pairwise
from typing import Any
from unittest.mock import patch

import nir
import numpy as np
import pytest
import torch
from torch.nn import functional

import nirbridge
from nirbridge.ir import PhaseDecode, PhaseEncode, PhaseIF, build_graph, spec_of
from nirbridge.runtime import make_plan
from nirbridge_norse import fired, once, program
from nirbridge_norse.convolution import geometry_of
from nirbridge_norse.fused.layout import Order
from nirbridge_norse.fused.window_passes import find_window_pass
from nirbridge_norse.later import Later
from nirbridge_norse.once import Gather, MoveOnce, Once, find_once
from nirbridge_norse.setting import make_setting
from tests.norse.norse_graphs import DT, chain, outputs

PHASES, NEVER = 6, 10**6


def steps_of(dice: np.random.Generator, *shape: int) -> torch.Tensor:
    """As in windows of :data:`PHASES`."""
    return torch.from_numpy(dice.integers(0, PHASES + 1, shape).astype(np.uint8))


def test_steps_and_frames_say_the_same() -> None:
    step = steps_of(np.random.default_rng(0), 3, 2, 4, 5, 6)
    sent = Once(step, PHASES)
    spikes = sent.frames()
    assert sent.extent == spikes.shape[:2] == (3 * PHASES, 2)
    assert spikes.sum() == (step < PHASES).sum()
    assert torch.equal(spikes.unflatten(0, (3, PHASES))[1, 4, 0].bool(), step[1, 0] == 4)
    assert torch.equal(Once.of(spikes.float(), PHASES).step, step)


def convolutions(dice: np.random.Generator) -> nir.Conv2d:
    """Any that is gathered on [C, 9, 8] with integer weights."""
    channels, out = dice.integers(1, 20, 2)
    alone = bool(dice.integers(2))
    weight = dice.integers(-99, 100, (channels, 1, *dice.integers(1, 4, 2)) if alone else (out, channels, 2, 3))
    padding = [0, 2, (1, 0), "same", "valid"][dice.integers(5)]
    stride = 1 if padding == "same" else tuple(dice.integers(1, 3, 2))
    groups, bias = channels if alone else 1, dice.integers(-9, 10, len(weight))
    return nir.Conv2d((9, 8), weight * 1.0, stride, padding, tuple(dice.integers(1, 3, 2)), groups, bias * 1.0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("seed", range(20))
def test_gathered_sums_are_those_of_frames(seed: int, dtype: str) -> None:
    dice = np.random.default_rng(seed)
    node = convolutions(dice)
    channels = node.weight.shape[1] * int(node.groups)
    planned = make_plan(chain((channels, 9, 8), node))["n0"]
    sent = Once(steps_of(dice, 2, 3, channels, 9, 8), PHASES)
    geometry = geometry_of(node)
    x = functional.pad(sent.frames().double(), geometry.uneven or ())
    weight, bias = (torch.tensor(np.asarray(v, dtype=np.float64)) for v in (node.weight, node.bias))
    expected = functional.conv2d(x.flatten(0, 1), weight, bias, *geometry[:4]).unflatten(0, x.shape[:2])
    assert once._gathers(planned, integers=True)
    stage = Gather(planned, PHASES, getattr(torch, dtype))
    lies = Order((channels, 9, 8), bool(dice.integers(2)))
    sent = Once(lies.dense(sent.step), PHASES)
    found = stage.run(sent, scratch=False)
    assert found.dtype is getattr(torch, dtype)
    assert torch.equal(found.double(), expected)
    later = Later(stage.function, sent, stage)
    assert torch.equal(later.whole(), found)
    rows = [later.rows(1, slice(2, 3), p, p + 1) for p in range(found.shape[3])]
    assert torch.equal(torch.cat(rows, 3), found[PHASES:, 2:])
    again = stage.again()
    assert torch.equal(again.run(sent, scratch=False), found)
    assert again.run(sent, scratch=False).data_ptr() != found.data_ptr()


def network(seed: int, unit: float, size: int = 10) -> nir.NIRGraph:
    """Padding in a layer of its own and in convolutions, a sum past two layers, several readers, places' thresholds."""
    dice = np.random.default_rng(seed)

    def conv(out: int, each: int, kernel: int, size: int, padding: int = 0, groups: int = 1) -> nir.Conv2d:
        weight, bias = dice.integers(-9, 10, (out, each, kernel, kernel)), dice.integers(-4, 5, out)
        return nir.Conv2d((size, size), weight * unit, 1, padding, 1, groups, bias * unit)

    def fire(channels: int, spikes: int = 1) -> PhaseIF:
        place = [(), (channels, 1, 1), (channels, size, size)][dice.integers(3)]
        theta, start = dice.integers(4, 60, place) * unit, dice.integers(-4, 5, place) * unit
        wait, bases = int(dice.choice([PHASES, 2])), dice.choice([2.0, 1.3], 2)
        shape = (channels, size, size)
        return PhaseIF(shape, PHASES, wait, *map(float, bases), theta, start, rounding=bool(seed % 2), spikes=spikes)

    shift = np.zeros((16, 1, 2, 2))
    shift[:, :, 1, 0] = 1
    nodes = {
        "input": nir.Input({"input": np.array((3, size, size))}),
        "code": PhaseEncode((3, size, size), PHASES, 2.0, 64.0),
        "stem": conv(16, 3, 3, size, 1),
        "stem.if": fire(16),
        "pad": nir.Conv2d((size, size), shift, 1, 1, 1, 16, np.zeros(16)),
        "depth": conv(16, 1, 2, size + 1, groups=16),
        "factor": nir.Scale(dice.integers(1, 4, [(), (16, 1, 1), (16, size, size)][seed % 3]) * np.ones(1)),
        "depth.if": fire(16),
        "down": conv(8, 16, 1, size),
        "aside": conv(8, 16, 1, size),
        "up": conv(24, 8, 1, size),
        "up.if": fire(24),
        "whole": conv(6, 24, 3, size, 1),
        "whole.if": fire(6, 2),
        "last": conv(4, 6, 1, size),
        "last.if": fire(4),
        "flat": nir.Flatten(input_type={"input": np.array((4, size, size))}, start_dim=0, end_dim=-1),
        "read": nir.Linear(dice.integers(-9, 10, (5, 4 * size * size)) * unit),
        "decode": PhaseDecode((5,), PHASES, 2.0),
        "output": nir.Output({"output": np.array((5,))}),
    }
    line = [name for name in nodes if name != "aside"]
    return build_graph(nodes, [*pairwise(line), ("stem.if", "aside"), ("aside", "up")])


SENDERS = {"stem.if", "depth.if", "up.if"}
SPIKING = [*sorted(SENDERS), "whole.if", "last.if"]


def recorded(graph: nir.NIRGraph, x: Any, runtime: str, names: list[str], parts: int, **options: Any) -> dict[str, Any]:
    with nirbridge.compile(graph, runtime, dt=DT, **options) as running:
        found = [running.advance(part, record=names) for part in np.split(x, parts)]
    values = {name: np.concatenate([one.records[name] for one in found]) for name in names}
    return {"output": np.concatenate([one.output for one in found]), **values}


@pytest.mark.parametrize("precision", ["float", "fixed"])
@pytest.mark.parametrize(("together", "least"), [(1, 1), (2**19, 1), (5000, 1), (2**19, NEVER)])
@pytest.mark.parametrize("seed", range(3))
def test_networks(seed: int, together: int, least: int, precision: str) -> None:
    """Spikes, membranes and sums; windows in one run and one by one; a row at a time and all; large inputs too."""
    graph = network(seed, 1.0 if precision == "fixed" else 1 / 8)
    x = np.random.default_rng(seed).integers(0, 64, (2, 3, 3, 10, 10)).astype(np.float64)
    chosen = [[], SPIKING, ["pad", "depth", "down", "whole"], [f"{name}:v" for name in SPIKING]]
    names = [name for some in chosen for name in some]
    dtypes = ({},) if precision == "fixed" else ({"dtype": "float32"}, {"dtype": "float64"})
    for factor in (1, 2**13) if precision == "fixed" else (1,):
        expected = recorded(graph, factor * x, "reference", names, 1, precision=precision)
        with patch.object(fired, "TOGETHER", together), patch.object(once, "LEAST_STEPS", least):
            for options in dtypes:
                for some, parts in ((some, parts) for some in chosen for parts in (1, 2)):
                    found = recorded(graph, factor * x, "norse", some, parts, precision=precision, **options)
                    for name, values in found.items():
                        np.testing.assert_array_equal(values, expected[name].astype(values.dtype), err_msg=name)
    assert all(0 < expected[name].mean() < 1 for name in SPIKING)


@pytest.mark.parametrize("precision", ["float", "fixed"])
def test_steps_are_sent_and_maps_computed_row_by_row(precision: str) -> None:
    graph, sizes, rows = network(0, 1.0), [], Later.rows

    def measured(self: Later, *where: Any) -> torch.Tensor:
        sizes.append((found := rows(self, *where)).shape)
        return found

    with (
        patch.object(Later, "rows", measured),
        patch.object(Gather, "decide", lambda *_: False),
        patch.object(once, "LEAST_STEPS", PHASES),
        patch.object(fired, "TOGETHER", 16 * 10 * PHASES * 8),
        nirbridge.compile(graph, "norse", precision=precision) as running,
    ):
        stages = running._schedules[0].stages
        running.run(np.full((1, 2, 3, 10, 10), 40.0))
    assert {name for name, stage in stages.items() if getattr(stage, "once", False) is True} == SENDERS
    assert all(type(stages[name]) is Gather for name in ("depth", "down", "aside", "whole"))
    assert type(stages["pad"]) is MoveOnce
    assert not any(type(stages[name]) is Gather for name in ("stem", "up", "last"))
    assert {shape[:3] for shape in sizes} >= {(PHASES, 1, 16), (PHASES, 2, 6)}
    assert min(shape[3] for shape in sizes) < 10
    with patch.object(once, "LEAST_STEPS", PHASES + 1), nirbridge.compile(graph, "norse") as running:
        assert not any(type(stage) is Gather for stage in running._schedules[0].stages.values())


@pytest.mark.parametrize("seed", range(24))
def test_neurons_decide_where_their_sums_are_formed(seed: int) -> None:
    """Products that single precision holds and such that it does not, sums that saturate, strides, samples, windows."""
    dice = np.random.default_rng(seed)
    shape, large = (5, 9, 8), [9, 120, 30_000, 700_000][seed % 4]
    kernel, stride, padding = dice.integers(1, 4, 2), tuple(dice.integers(1, 3, 2)), tuple(dice.integers(0, 2, 2))
    weight, bias = dice.integers(-large, large + 1, (5, 1, *kernel)), dice.integers(-large, large + 1, 5)
    conv = nir.Conv2d((9, 8), weight * 1.0, stride, padding, 1, 5, bias * 1.0)
    after = make_plan(chain(shape, conv), DT)["n0"].output_shape
    theta, start = dice.integers(1, 3 * large, (5, 1, 1)), dice.integers(-large, large, [(), (5, 1, 1)][seed % 2])
    base, first = float(dice.choice([2.0, 1.3])), int(dice.integers(2))
    code = PhaseIF(shape, PHASES, PHASES, base, 1.5, np.array(30), np.array(2))
    fire = PhaseIF(after, PHASES, PHASES, 1.5, base, theta, start, first, bool(dice.integers(2)))
    scales = [nir.Scale(np.array(float(dice.choice([2, 3, 4096]))))] * (seed % 3 > 0)
    last = nir.Conv2d(after[1:], np.ones((2, 5, 1, 1)), 1, 0, 1, 1, np.zeros(2))
    graph = chain(shape, code, conv, *scales, fire, last)
    x = dice.integers(0, 60, (2 * PHASES, 3, *shape)).astype(np.float64)
    decide, done = Gather.decide, []

    def noted(self: Gather, *args: Any) -> bool:
        done.append(decide(self, *args))
        return done[-1]

    expected = outputs(graph, x, "reference", precision="fixed")
    with patch.object(once, "LEAST_STEPS", PHASES), patch.object(Gather, "decide", noted):
        np.testing.assert_array_equal(outputs(graph, x, precision="fixed"), expected)
    assert done == [True] * 2
    with patch.object(once, "LEAST_STEPS", PHASES), patch.object(Gather, "decide", lambda *_: False):
        np.testing.assert_array_equal(outputs(graph, x, precision="fixed"), expected)
    assert 0 < expected.mean() < 5


def test_who_decides_where_sums_are_formed() -> None:
    """Not before the window's end, by places' own parameters, by limits that rise, or behind each channel's factor."""
    shape, order = (4, 6, 6), Order((4, 6, 6), True)

    def whole(theta: Any = 9, wait: int = PHASES, spikes: int = 1, factor: Any = None, largest: int = 100) -> Any:
        node = PhaseIF(shape, PHASES, wait, 1.3, 2.0, np.array(theta), np.array(0), spikes=spikes)
        run = spec_of(node).window.integer
        firing = find_window_pass(run, node, PHASES)
        return firing.whole(order, None if factor is None else torch.tensor(factor), largest)

    assert whole().single
    assert whole(np.full((4, 1, 1), 9)).single
    assert whole(factor=2.0**40).single
    assert not whole(largest=2**12).single
    assert not whole(factor=3.0, largest=2**11 - 1).single
    places = np.full(shape, 9)
    places[0, 0, 0] = 8
    others = {"theta": places}, {"theta": -9}, {"wait": 3}, {"spikes": 2}, {"factor": [2.0, 3.0, 4.0, 5.0]}
    assert all(whole(**other) is None for other in others)


def found_in(*nodes: Any, shape: tuple[int, ...] = (4, 6, 6), integers: bool = True) -> once.Found:
    with patch.object(once, "LEAST_STEPS", PHASES):
        return find_once(make_plan(chain(shape, *nodes), DT), make_setting(DT), integers)


def test_who_sends_steps() -> None:
    """Not those whose spikes anything else reads, nor those of several spikes."""
    shape = (4, 6, 6)
    fire, twice = (PhaseIF(shape, PHASES, 6, 2.0, 2.0, np.array(9), np.array(0), spikes=k) for k in (1, 2))
    ones, zeros = np.ones((4, 4, 1, 1)), np.zeros(4)
    conv = nir.Conv2d((6, 6), ones, 1, 0, 1, 1, zeros)
    paired = nir.Conv2d((6, 6), ones[:, :2], 1, 0, 1, 2, zeros)
    large = nir.Conv2d((6, 6), 2.0**23 * ones, 1, 0, 1, 1, zeros)
    pad = nir.Conv2d((6, 6), np.ones((4, 1, 1, 1)), 1, 1, 1, 4, zeros)
    padded = nir.Conv2d((8, 8), ones, 1, 0, 1, 1, zeros)
    assert found_in(fire, conv).senders == {"n0"}
    assert set(found_in(fire, pad, padded).readers) == {"n1", "n2"}
    for others in ((twice, conv), (fire, paired), (fire, nir.Scale(np.array(2)), conv), (fire, pad), (fire,)):
        assert found_in(*others) == (frozenset(), {})
    assert found_in(fire, large) == (frozenset(), {})
    assert found_in(fire, large, integers=False).senders == {"n0"}


@pytest.mark.parametrize("precision", ["float", "fixed"])
def test_samples_on_two_threads_share_no_states(precision: str) -> None:
    x = np.random.default_rng(0).integers(0, 64, (2, 5, 3, 10, 10)).astype(np.float64)
    graph, threads = network(1, 1.0), torch.get_num_threads()
    expected = outputs(graph, x, "reference", precision=precision)
    with patch.object(once, "LEAST_STEPS", PHASES), patch.object(program, "WORTH_THREADS", 0):
        torch.set_num_threads(2)
        try:
            found = outputs(graph, x, precision=precision)
        finally:
            torch.set_num_threads(threads)
    np.testing.assert_array_equal(found, expected.astype(found.dtype))


@pytest.mark.parametrize("precision", ["float", "fixed"])
def test_sums_for_windows_of_other_lengths(precision: str) -> None:
    """They are formed whole, and each reader takes the steps of its own window."""
    shape = (4, 6, 6)
    fire, half = (PhaseIF(shape, n, n, 2.0, 2.0, np.array(9), np.array(0)) for n in (PHASES, PHASES // 2))
    conv = nir.Conv2d((6, 6), np.random.default_rng(0).integers(-9, 10, (4, 4, 3, 3)) * 1.0, 1, 1, 1, 1, np.zeros(4))
    x = np.random.default_rng(1).integers(0, 9, (2 * PHASES, 2, *shape)).astype(np.float64)
    for reader in (half, PhaseEncode(shape, PHASES, 2.0, np.array(9))):
        graph = chain(shape, fire, conv, nir.Scale(np.array(2.0)), reader)
        expected = outputs(graph, x, "reference", precision=precision)
        for least in (1, NEVER):
            with patch.object(once, "LEAST_STEPS", least):
                np.testing.assert_array_equal(outputs(graph, x, precision=precision), expected)
        assert 0 < expected.mean() < 1
