"""Compiled windows give the bits of the reference and of torch's operators, and are really taken."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
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
from nirbridge.runtime.integer_bounds import SINGLE, single_precision, single_precision_limit
from nirbridge_norse import convolution, fired, memory, program, windows
from nirbridge_norse.fired import FiredWindow
from nirbridge_norse.fixed import bytes as fixed_bytes
from nirbridge_norse.fixed.bytes import HALF, largest_message, wide_convolution
from nirbridge_norse.fused.layout import Order
from nirbridge_norse.fused.window_passes import FiringPass
from nirbridge_norse.later import Later
from nirbridge_norse.lowering import LOWERING
from nirbridge_norse.setting import make_setting
from nirbridge_norse.windowed import WindowedNeuron
from tests.norse.norse_graphs import DT, chain, outputs

PHASES, WINDOWS = 6, 3
SHAPES = [(5,), (1100,), (3, 4), (4, 9, 8), (300, 2, 2)]


@contextmanager
def torch_alone() -> Iterator[None]:
    """Windows as operators of torch."""
    with patch.object(windows, "find_window_pass", lambda *_: None):
        yield


def per(shape: tuple[int, ...], dice: np.random.Generator) -> tuple[int, ...]:
    """The shape of a parameter: one for all, one for each channel, or one for each place."""
    return [(), (shape[0], *(1,) * (len(shape) - 1)), shape][dice.integers(3)]


def phase_if(shape: tuple[int, ...], dice: np.random.Generator, integers: bool = False, **fields: Any) -> PhaseIF:
    def values(low: float, high: float) -> Any:
        place = per(shape, dice)
        return dice.integers(round(low * 40), round(high * 40), place) if integers else dice.uniform(low, high, place)

    given = {
        "wait": int(dice.integers(PHASES + 1)),
        "base_in": float(dice.choice([2.0, 1.3])),
        "base_out": float(dice.choice([2.0, 1.3])),
        "v_threshold": values(0.3, 2.0),
        "v_init": values(-0.5, 0.5),
        "first_phase": int(dice.integers(3)),
        "rounding": bool(dice.integers(2)),
        "spikes": int(dice.choice([1, 2, 4, PHASES + 1])),
        **fields,
    }
    return PhaseIF(shape, PHASES, **given)


def frames(shape: tuple[int, ...], dice: np.random.Generator, batch: int, integers: bool = False) -> Any:
    size = (WINDOWS * PHASES, batch, *shape)
    large = 10.0 ** dice.integers(0, 6) if integers else 1.0
    return np.rint(large * dice.normal(size=size)) if integers else dice.normal(size=size).astype(np.float32)


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("seed", range(6))
def test_any_neuron_on_any_input(seed: int, shape: tuple[int, ...], batch: int) -> None:
    dice = np.random.default_rng([seed, len(shape), shape[0]])
    graph, x = chain(shape, phase_if(shape, dice)), frames(shape, dice, batch)
    expected = outputs(graph, x, "reference")
    for dtype in ("float32", "float64"):
        np.testing.assert_array_equal(outputs(graph, x, dtype=dtype), expected)
        with torch_alone():
            np.testing.assert_array_equal(outputs(graph, x, dtype=dtype), expected)
    assert 0 < expected.mean() < 1


@pytest.mark.parametrize("spikes", [1, 2, 4])
@pytest.mark.parametrize("wait", range(PHASES + 1))
def test_every_wait_with_few_and_many_spikes(wait: int, spikes: int) -> None:
    dice = np.random.default_rng([wait, spikes])
    for base in (2.0, 1.3):
        graph = chain((40,), phase_if((40,), dice, wait=wait, spikes=spikes, base_in=base, v_threshold=0.4 / spikes))
        x = frames((40,), dice, 3)
        expected = outputs(graph, x, "reference")
        np.testing.assert_array_equal(outputs(graph, x), expected)
        assert expected.reshape(WINDOWS, PHASES, -1).sum(1).max() == spikes


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("seed", range(6))
def test_integers_that_saturate(seed: int, shape: tuple[int, ...], batch: int) -> None:
    dice = np.random.default_rng([seed, len(shape), shape[0]])
    graph, x = chain(shape, phase_if(shape, dice, integers=True)), frames(shape, dice, batch, integers=True)
    expected = outputs(graph, x, "reference", precision="fixed")
    np.testing.assert_array_equal(outputs(graph, x, precision="fixed"), expected)
    with torch_alone():
        np.testing.assert_array_equal(outputs(graph, x, precision="fixed"), expected)
    assert 0 < expected.mean() < 1


@pytest.mark.parametrize("shape", [(5,), (3, 20, 20)], ids=str)
@pytest.mark.parametrize("base", [2.0, 1.3])
@pytest.mark.parametrize("precision", ["float", "fixed"])
def test_codes_of_any_number(precision: str, base: float, shape: tuple[int, ...]) -> None:
    dice = np.random.default_rng(3)
    x, scale = np.rint(dice.normal(size=(2, 3, *shape)) * 90), dice.integers(20, 200, per(shape, dice))
    graph = chain(shape, PhaseEncode(shape, PHASES, base, scale))
    expected = outputs(graph, x, "reference", precision=precision)
    np.testing.assert_array_equal(outputs(graph, x, precision=precision), expected)
    assert 0 < expected.mean() < 1


def network(seed: int, precision: str = "float") -> nir.NIRGraph:
    """Padding in a layer of its own, depthwise and pointwise convolutions, a sum past two layers, a readout."""
    dice, integers = np.random.default_rng(seed), precision == "fixed"
    unit = 1.0 if integers else 1 / 8

    def conv(out: int, each: int, kernel: int, size: int, padding: int = 0, groups: int = 1) -> nir.Conv2d:
        weight = dice.integers(-9, 10, (out, each, kernel, kernel)) * unit
        return nir.Conv2d((size, size), weight, 1, padding, 1, groups, dice.integers(-4, 5, out) * unit)

    def fire(channels: int, size: int) -> PhaseIF:
        spikes = int(dice.choice([1, 2, 4]))
        theta = dice.integers(4, 60, (channels, 1, 1)) * unit
        return phase_if((channels, size, size), dice, integers, spikes=spikes, v_threshold=theta)

    shift = np.zeros((16, 1, 2, 2))
    shift[:, :, 1, 0] = 1
    nodes = {
        "input": nir.Input({"input": np.array((3, 10, 10))}),
        "code": PhaseEncode((3, 10, 10), PHASES, 2.0, 64.0),
        "stem": conv(16, 3, 3, 10, 1),
        "stem.if": fire(16, 10),
        "pad": nir.Conv2d((10, 10), shift, 1, 1, 1, 16, np.zeros(16)),
        "depth": conv(16, 1, 2, 11, groups=16),
        "depth.if": fire(16, 10),
        "down": conv(8, 16, 1, 10),
        "aside": conv(8, 16, 1, 10),
        "up": conv(24, 8, 1, 10),
        "factor": nir.Scale(dice.integers(1, 4, (24, 1, 1)) * np.ones((24, 1, 1))),
        "up.if": fire(24, 10),
        "flat": nir.Flatten(input_type={"input": np.array((24, 10, 10))}, start_dim=0, end_dim=-1),
        "read": nir.Linear(dice.integers(-9, 10, (5, 2400)) * unit),
        "decode": PhaseDecode((5,), PHASES, 2.0),
        "output": nir.Output({"output": np.array((5,))}),
    }
    line = [name for name in nodes if name != "aside"]
    return build_graph(nodes, [*pairwise(line), ("stem.if", "aside"), ("aside", "up")])


def recorded(graph: nir.NIRGraph, x: Any, runtime: str, names: list[str], parts: int, **options: Any) -> dict[str, Any]:
    with nirbridge.compile(graph, runtime, dt=DT, **options) as program:
        found = [program.advance(part, record=names) for part in np.split(x, parts)]
    values = {name: np.concatenate([one.records[name] for one in found]) for name in names}
    return {"output": np.concatenate([one.output for one in found]), **values}


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("precision", ["float", "fixed"])
@pytest.mark.parametrize(("together", "few"), [(1, 0), (2**19, 0), (5000, 0), (2**19, convolution.FEW_PRODUCTS)])
@pytest.mark.parametrize("seed", range(2))
def test_networks(seed: int, together: int, few: int, precision: str, batch: int) -> None:
    """Spikes, membranes and sums; several windows in one run and one by one; a frame at a time and all together."""
    graph = network(seed, precision)
    x = np.random.default_rng(seed).integers(0, 64, (4, batch, 3, 10, 10)).astype(np.float64)
    spiking = ["stem.if", "depth.if", "up.if"]
    chosen = [[], spiking, ["pad", "down"], [f"{name}:v" for name in spiking]]
    names = [name for some in chosen for name in some]
    expected = recorded(graph, x, "reference", names, 1, precision=precision)
    dtypes = ({},) if precision == "fixed" else ({"dtype": "float32"}, {"dtype": "float64"})
    with patch.object(fired, "TOGETHER", together), patch.object(convolution, "FEW_PRODUCTS", few):
        for options in dtypes:
            for some, parts in ((some, parts) for some in chosen for parts in (1, 4)):
                found = recorded(graph, x, "norse", some, parts, precision=precision, **options)
                for name, values in found.items():
                    rounded = expected[name].astype(values.dtype)
                    np.testing.assert_array_equal(values, rounded, err_msg=name)
    assert all(0 < expected[name].mean() < 1 for name in spiking)


@pytest.mark.parametrize("precision", ["float", "fixed"])
def test_the_pass_is_taken_a_few_frames_at_a_time(precision: str) -> None:
    took, sizes, bind, take = [], [], FiringPass.bind, Later.take

    def counted(self: FiringPass, order: Order, *rest: Any) -> Any:
        took.append(order.channels_last)
        return bind(self, order, *rest)

    def measured(self: Later, steps: slice, samples: slice) -> torch.Tensor:
        sizes.append((found := take(self, steps, samples)).shape[:2])
        return found

    x = np.ones((2, 4, 3, 10, 10))
    with (
        patch.object(FiringPass, "bind", counted),
        patch.object(Later, "take", measured),
        patch.object(fired, "TOGETHER", 5000),
        patch.object(convolution, "FEW_PRODUCTS", 0),
        nirbridge.compile(network(0, precision), "norse", precision=precision) as program,
    ):
        stages = program._schedules[0].stages
        program.run(x)
    neurons = [stages[f"{name}.if"] for name in ("stem", "depth", "up")]
    assert all(type(neuron) is FiredWindow for neuron in neurons)
    assert [neuron.sends for neuron in neurons[:2]] == [torch.uint8] * 2
    assert len(took) == 3
    assert all(took)
    assert max(steps * samples for steps, samples in sizes) == 3
    with torch_alone(), nirbridge.compile(network(0, precision), "norse", precision=precision) as program:
        assert type(program._schedules[0].stages["stem.if"]) is WindowedNeuron


def test_too_many_spikes_to_count_in_a_byte_are_left_to_torch() -> None:
    node = PhaseIF((3,), 300, 0, 1.01, 1.01, np.array(0.1), np.array(0.0), spikes=300)
    graph = chain((3,), node)
    with nirbridge.compile(graph, "norse") as program:
        assert type(program._schedules[0].stages["n0"]) is WindowedNeuron
    x = np.abs(np.random.default_rng(0).normal(size=(300, 1, 3)))
    np.testing.assert_array_equal(outputs(graph, x), outputs(graph, x, "reference"))


@pytest.mark.parametrize("channels_last", [False, True])
def test_memory_stays_in_its_order_and_is_used_again(monkeypatch: pytest.MonkeyPatch, channels_last: bool) -> None:
    monkeypatch.setattr(memory, "LEARNED", 0)
    node = PhaseIF((4, 30, 30), PHASES, 6, 1.3, 1.3, np.array(0.7), np.array(0.1))
    plan = make_plan(chain((4, 30, 30), node))
    stage = LOWERING[PhaseIF](plan["n0"], make_setting(DT))
    order = Order((4, 30, 30), channels_last)
    x = order.dense(torch.tensor(np.random.default_rng(0).normal(size=(2 * PHASES, 3, 4, 30, 30))))
    first = stage.run(x, scratch=False)
    assert order.seen(first).flags.c_contiguous
    np.testing.assert_array_equal(first, stage.function(x.unflatten(0, (2, PHASES)), None).flatten(0, 1))
    place, kept = first.data_ptr(), first.clone()
    del first
    again = stage.run(x, scratch=False)
    assert again.data_ptr() == place
    assert torch.equal(again, kept)


@pytest.mark.parametrize("kernel", [(1, 1), (2, 2), (2, 3), (3, 1)])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_convolutions_that_only_move(kernel: tuple[int, int], dtype: torch.dtype) -> None:
    dice = np.random.default_rng(kernel)
    for _ in range(8):
        weight = np.zeros((4, 1, *kernel), np.float32)
        weight[:, 0, dice.integers(kernel[0]), dice.integers(kernel[1])] = 1
        padding, dilation = tuple(dice.integers(0, 3, 2)), tuple(dice.integers(1, 3, 2))
        node = nir.Conv2d((9, 8), weight, 1, padding, dilation, 4, np.zeros(4))
        plan = make_plan(chain((4, 9, 8), node))
        assert convolution.moves_only(plan["n0"]) is not None
        stage = LOWERING[nir.Conv2d](plan["n0"], make_setting(DT))
        x = torch.tensor(dice.integers(0, 2, (3, 2, 4, 9, 8)), dtype=dtype)
        sides, apart = (tuple(map(int, pair)) for pair in (padding, dilation))
        expected = functional.conv2d(x.float().flatten(0, 1), torch.tensor(weight), None, 1, sides, apart, 4)
        for last in (False, True):
            found = stage.run(Order((4, 9, 8), last).dense(x), scratch=False)
            assert found.dtype is dtype
            assert torch.equal(found.flatten(0, 1).float(), expected)


def test_convolutions_that_compute_do_not_only_move() -> None:
    ones, zeros = np.ones((4, 1, 1, 1)), np.zeros(4)
    others = [
        nir.Conv2d((8, 8), 2 * ones, 1, 0, 1, 4, zeros),
        nir.Conv2d((8, 8), ones, 2, 0, 1, 4, zeros),
        nir.Conv2d((8, 8), ones, 1, 0, 1, 4, zeros + 1),
        nir.Conv2d((8, 8), np.ones((4, 1, 1, 2)), 1, 0, 1, 4, zeros),
        nir.Conv2d((8, 8), np.ones((4, 4, 1, 1)), 1, 0, 1, 1, zeros),
        nir.Conv2d((8, 8), ones * [[[[1]]], [[[1]]], [[[0]]], [[[1]]]], 1, 0, 1, 4, zeros),
    ]
    for node in others:
        assert convolution.moves_only(make_plan(chain((4, 8, 8), node))["n0"]) is None


WIDE = nir.Conv2d(
    (30, 30), np.random.default_rng(0).integers(-127, 128, (64, 40, 1, 1)), 1, 0, 1, 1, np.arange(64) * 1000.0
)


@pytest.mark.parametrize("most", [3, HALF - 1, 2 * HALF])
@pytest.mark.parametrize("in_halves", [False, True])
def test_sums_in_two_halves_in_single_and_in_double_precision(in_halves: bool, most: int) -> None:
    if in_halves and largest_message() < 255:
        pytest.skip("oneDNN adds no bytes of 8 bits here")
    plan = make_plan(chain((40, 30, 30), WIDE))
    narrow, wide = (LOWERING[nir.Conv2d](plan["n0"], make_setting(DT, dtype=d)) for d in ("float32", "float64"))
    x = torch.tensor(np.random.default_rng(1).integers(-most, most + 1, (3, 40, 30, 30)), dtype=torch.float64)
    x[0, 0, 0, 0], x[1, 1, 1, 1] = most, -most
    taken = []
    ways = [
        lambda x, stage=s, name=n: taken.append(name) or stage.function(x)
        for n, s in (("narrow", narrow), ("wide", wide))
    ]
    with patch.object(fixed_bytes, "largest_message", largest_message if in_halves else int):
        found = wide_convolution(plan["n0"], *ways)(x)
    assert torch.equal(found, wide.function(x))
    assert found.dtype is torch.float64
    way = "narrow" if most == 3 else "wide"
    assert taken == ([] if in_halves and most < HALF else [way])
    with patch.object(fixed_bytes, "largest_message", int):
        found = wide_convolution(plan["n0"], *ways)(x.float())
    assert torch.equal(found.double(), wide.function(x))
    assert found.dtype is (torch.float32 if way == "narrow" else torch.float64)


def test_only_what_leaves_single_precision_is_wide() -> None:
    """A sum of 2^25 and 1 behind a neuron: everything else is in single precision."""
    shape = (1, 30, 30)
    code = PhaseEncode(shape, PHASES, 2.0, np.array(64))
    fire = [PhaseIF(shape, PHASES, 6, 2.0, 2.0, np.array(theta), np.array(1)) for theta in (1, 2**20 + 1)]
    graph = chain(shape, code, fire[0], nir.Scale(np.array(2**14)), nir.Scale(np.array(2**11 + 1)), fire[1])
    plan = make_plan(graph, DT)
    limit, wide = single_precision(plan)
    assert single_precision_limit(plan) == 0
    assert limit > 64
    assert wide == {"n3", "n4"}
    x = np.random.default_rng(0).integers(0, 64, (2, 3, *shape)).astype(np.float64)
    names = ["n0", "n1", "n2", "n3", "n4", "n4:v"]
    expected = recorded(graph, x, "reference", names, 1, precision="fixed")
    found = recorded(graph, x, "norse", names, 1, precision="fixed")
    assert all((found[name] == expected[name]).all() for name in names)
    assert expected["n3"].max() > SINGLE
    assert spec_of(fire[0]).sends.spikes


@pytest.mark.parametrize("precision", ["float", "fixed"])
def test_samples_on_two_threads_share_passes_and_no_states(precision: str) -> None:
    x = np.random.default_rng(0).integers(0, 64, (2, 5, 3, 10, 10)).astype(np.float64)
    graph, threads = network(1, precision), torch.get_num_threads()
    expected = outputs(graph, x, "reference", precision=precision)
    with patch.object(convolution, "FEW_PRODUCTS", 0), patch.object(program, "WORTH_THREADS", 0):
        torch.set_num_threads(2)
        try:
            found = outputs(graph, x, precision=precision)
        finally:
            torch.set_num_threads(threads)
    np.testing.assert_array_equal(found, expected.astype(found.dtype))


@pytest.mark.parametrize("few", [0, convolution.FEW_PRODUCTS])
@pytest.mark.parametrize("together", [2**19, 3000])
def test_a_convolution_goes_on_in_single_precision_where_its_sums_stay_in_it(together: int, few: int) -> None:
    """Sums up to 40·127·40·127 > 2^24 where all spike at once, as in the second of three samples."""
    shape, size = (40, 8, 8), (8, 8)
    code = PhaseEncode(shape, PHASES, 2.0, np.array(64))
    convs = [nir.Conv2d(size, np.full((40, 40, 1, 1), 127.0), 1, 0, 1, 1, np.zeros(40)) for _ in range(2)]
    fire = [PhaseIF(shape, PHASES, 6, 2.0, 2.0, np.array(theta), np.array(0)) for theta in (40, 2**22)]
    graph = chain(shape, code, fire[0], convs[0], convs[1], fire[1])
    assert single_precision(make_plan(graph, DT))[1] == {"n3", "n4"}
    x = np.random.default_rng(0).integers(0, 640, (2, 3, *shape)).astype(np.float64)
    x[x > 63] = 0
    x[:, 1] = 63
    for names in (["n1", "n4"], ["n3", "n4", "n4:v"]):
        expected = recorded(graph, x, "reference", names, 1, precision="fixed")
        with patch.object(fired, "TOGETHER", together), patch.object(convolution, "FEW_PRODUCTS", few):
            found = recorded(graph, x, "norse", names, 1, precision="fixed")
        assert all((found[name] == expected[name]).all() for name in names)
    assert expected["n3"][:, 1].max() > SINGLE > expected["n3"][:, 0].max() > 0
    assert 0 < expected["n4"].mean() < 1
