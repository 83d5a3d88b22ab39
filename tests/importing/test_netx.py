"""Networks in lava-dl's file, against Loihi's equations in plain numpy; what has no counterpart is refused by name."""

import warnings

import h5py
import nir
import numpy as np
import pytest
from click.testing import CliRunner
from netx_files import Cuba, correlate, neuron, write

import nirbridge
from nirbridge.cli.group import main
from nirbridge.errors import FileError, GraphError, GraphWarning, InputError
from nirbridge.importing import read_netx

STEPS = 30


def even(rng, *shape, most=60):
    """Weights as lava-dl's 8 bits hold them, in its single precision."""
    return (2 * rng.integers(-most // 4, most // 2, shape)).astype(np.float32)


def run(graph, x, record, runtime="reference"):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GraphWarning)
        with nirbridge.compile(graph, runtime, precision="fixed", dt=1e-3) as program:
            found = program.run(x[:, None], record)
    return {"output": found.output[:, 0], **{name: values[:, 0] for name, values in found.records.items()}}


@pytest.fixture
def spikes():
    return np.random.default_rng(8).integers(0, 2, (STEPS, 2, 7, 6))


def make_convolutional(rng):
    conv = {
        "type": "conv",
        "shape": [4, 4, 3],
        "inChannels": 2,
        "outChannels": 4,
        "kernelSize": [3, 2],
        "stride": [2, 1],
        "padding": [1, 0],
        "dilation": [1, 2],
        "groups": 2,
        "weight": even(rng, 4, 1, 3, 2, 1),
        "bias": even(rng, 4, most=16),
        "neuron": neuron(4096, 512, 60, theta=60 * 64),
    }
    conv["shape"] = list(correlate(np.zeros((2, 7, 6), int), conv["weight"][..., 0], [2, 1], [1, 0], [1, 2], 2).shape)
    pool = {
        "type": "pool",
        "shape": [4, conv["shape"][1] // 2, conv["shape"][2] // 2],
        "kernelSize": [2, 2],
        "stride": [2, 2],
        "padding": [0, 0],
        "dilation": [1, 1],
        "weight": np.full((1, 1, 2, 2), 40, np.float32),
        "neuron": neuron([1024, 2048, 4096, 700], 400, 50),
        "delay": np.array([0, 3, 1, 2]),
    }
    count = int(np.prod(pool["shape"]))
    dense = {
        "type": "dense",
        "shape": [5],
        "inFeatures": count,
        "outFeatures": 5,
        "weight": even(rng, 5, count),
        "neuron": neuron(1500, 300, 80),
        "delay": np.arange(5.0),
    }
    return [{"type": "input", "shape": [2, 7, 6]}, conv, pool, {"type": "flatten", "shape": [count]}, dense]


@pytest.mark.parametrize("runtime", ["reference", "norse"])
def test_convolution_pool_and_dense_equal_loihi_bit_for_bit(tmp_path, spikes, runtime):
    layers = make_convolutional(np.random.default_rng(2))
    _, conv, pool, _, dense = layers
    graph = read_netx(write(tmp_path / "n.net", *layers))
    found = run(graph, spikes, ["layer1:v", "layer1", "layer2:v", "layer2", "layer4:v", "layer4"], runtime)
    per_channel = {**pool["neuron"], "iDecay": np.array(pool["neuron"]["iDecay"])[:, None, None]}
    cells = Cuba(conv["neuron"]), Cuba(per_channel), Cuba(dense["neuron"])
    kernels = (layer["weight"].reshape(layer["weight"].shape[:4]).astype(int) for layer in (conv, pool))
    weight, pooled = kernels
    pooled = np.repeat(pooled, 4, axis=0)
    past, sent = [], []
    for t, x in enumerate(spikes):
        first = cells[0].step(correlate(x, weight, [2, 1], [1, 0], [1, 2], 2), conv["bias"].astype(int)[:, None, None])
        second = cells[1].step(correlate(first, pooled, [2, 2], [0, 0], [1, 1], 4))
        past.append(second)
        late = [past[t - d][c] if t >= d else 0 * second[c] for c, d in enumerate(pool["delay"])]
        third = cells[2].step(dense["weight"].astype(int) @ np.stack(late).reshape(-1))
        sent.append(third)
        for name, spiked, cell in zip((1, 2, 4), (first, second, third), cells, strict=True):
            np.testing.assert_array_equal(found[f"layer{name}"][t], spiked, err_msg=f"layer {name}, step {t}")
            np.testing.assert_array_equal(found[f"layer{name}:v"][t], cell.v, err_msg=f"layer {name}, step {t}")
        out = [sent[t - d][n] if t >= d else 0 for n, d in enumerate(range(5))]
        np.testing.assert_array_equal(found["output"][t], out)
    assert 5 < np.sum(sent) < 5 * STEPS


def test_recurrence_a_lasting_bias_and_delays_of_inputs(tmp_path):
    rng = np.random.default_rng(4)
    recurrent = {
        "type": "dense_rec",
        "shape": [6],
        "inFeatures": 5,
        "outFeatures": 6,
        "weight": even(rng, 6, 5),
        "weight_rec": even(rng, 6, 6, most=30),
        "bias": np.array([3, -2, 0, 5, 1, 2], np.float32),
        "neuron": neuron(1024, 256, 90),
    }
    readout = {
        "type": "dense",
        "shape": [3],
        "inFeatures": 6,
        "outFeatures": 3,
        "weight": even(rng, 3, 6),
        "delay": np.arange(6),
        "neuron": neuron(0, 0, (1 << 18) - 1),
    }
    path = write(tmp_path / "n.net", recurrent, readout)
    with pytest.warns(GraphWarning, match=r"layer 1 \(dense\), neuron: vThMant 262143 .* sends its membrane"):
        graph = read_netx(path)
    x = rng.integers(0, 2, (STEPS, 5))
    found = run(graph, x, ["layer0", "layer0:v"])
    cell, last = Cuba(recurrent["neuron"]), Cuba(readout["neuron"])
    spikes, past = np.zeros(6, int), []
    for t, frame in enumerate(x):
        arriving = recurrent["weight"].astype(int) @ frame + recurrent["weight_rec"].astype(int) @ spikes
        spikes = cell.step(arriving, recurrent["bias"].astype(int))
        past.append(spikes)
        np.testing.assert_array_equal(found["layer0"][t], spikes)
        np.testing.assert_array_equal(found["layer0:v"][t], cell.v)
        late = [past[t - d][n] if t >= d else 0 for n, d in enumerate(range(6))]
        last.step(readout["weight"].astype(int) @ late)
        np.testing.assert_array_equal(found["output"][t], last.v)
    assert 5 < np.sum(past) < 6 * STEPS


def test_an_input_layer_takes_biases(tmp_path):
    first = {"type": "input", "shape": [1, 2, 2], "weight": 36.0, "bias": 34.0, "neuron": neuron(1024, 1024, 25)}
    with pytest.warns(GraphWarning, match=r"layer 0 \(input\): the graph takes the whole numbers 36·x \+ 34"):
        graph = read_netx(write(tmp_path / "n.net", first))
    x = np.random.default_rng(0).integers(0, 30, (STEPS, 1, 2, 2))
    found, cell = run(graph, x, ["layer0:v"]), Cuba(first["neuron"])
    for t, frame in enumerate(x):
        np.testing.assert_array_equal(found["output"][t], cell.step(0, frame))
        np.testing.assert_array_equal(found["layer0:v"][t], cell.v)


def dense(**changes):
    layer = {"type": "dense", "shape": [2], "inFeatures": 3, "outFeatures": 2, "weight": np.full((2, 3), 4.0)}
    layer = {**layer, "neuron": neuron(1024, 128, 20), **changes}
    return {name: value for name, value in layer.items() if value is not None}


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (
            dense(type="average"),
            "layer 0 (average): type 'average' is not among dense, dense_rec, conv, pool, flatten.",
        ),
        (dense(neuron=neuron(0, 0, 9, type=b"SDNN")), "neuron: type 'SDNN' is not among CUBA, LOIHI."),
        (dense(neuron=neuron(0, 0, 9, refDelay=2)), "neuron: refDelay is 2, and only 1 has a counterpart."),
        (dense(neuron=neuron(0, 0, 9, gradedSpike=True)), "neuron: gradedSpike is True"),
        (dense(neuron=neuron(0, 0, 9, sinDecay=3)), "neuron: unknown field 'sinDecay'."),
        (dense(neuron=neuron(5000, 0, 9)), "neuron: iDecay holds 5000 to 5000, outside of 0..4096."),
        (dense(neuron=neuron([0, 5], 0, 9)), "neuron: iDecay is 0 for some neurons and not for others."),
        (dense(neuron=neuron(4096, 9, [9, 2**18])), "only some of its neurons have a threshold within 24 bits."),
        (dense(neuron=neuron([1, 2, 3], 0, 9)), "neuron: iDecay has shape (3,), expected one value or 2."),
        (dense(neuron=None), "layer 0 (dense): has no neuron"),
        (dense(weight=np.full((2, 3), 0.5)), "'weight' holds 0.5, which is no whole number."),
        (dense(weight=np.full((2, 3), 300)), "'weight' holds 0 to 300, beyond 8 bits."),
        (dense(weight=np.zeros((2, 4))), "'weight' has shape (2, 4), expected (2, 3)."),
        (dense(weight=np.zeros((3, 2))), "'weight' has shape (3, 2), expected (2, 3)."),
        (dense(bias=np.ones(3)), "'bias' has 3 values, expected 1 or 2."),
        (dense(weight=None), "has no 'weight'."),
        (dense(delay=[1, 2, 3, 4]), "'delay' has 4 values, expected 1, 2 or one a neuron."),
        (dense(weight=np.full((2, 3), np.inf)), "'weight' holds inf, which is no whole number."),
        (dense(neuron=neuron(9, 9, np.inf)), "neuron: 'vThMant' holds inf, which is no whole number."),
        (dense(shape=[-2]), "'shape' holds [-2], which is no shape."),
        (dense(delay=-1), "'delay' holds -1, which is negative."),
        (dense(mask=1), "layer 0 (dense): unknown field 'mask'."),
        (dense(type="dense_rec", weight_rec=np.zeros((2, 2)), delay=2), "has delays in a recurrent layer."),
    ],
    ids=lambda value: value[-30:] if isinstance(value, str) else "",
)
def test_what_has_no_counterpart_is_refused_by_name(tmp_path, layer, words):
    with pytest.raises(GraphError) as caught:
        read_netx(write(tmp_path / "n.net", layer), (3,))
    assert words in str(caught.value)


def test_steps_of_a_convolution_begin_at_one(tmp_path):
    picture, conv, *_ = make_convolutional(np.random.default_rng(2))
    with pytest.raises(GraphError, match=r"'stride' holds \[0, 1\], expected one or two numbers from 1 on"):
        read_netx(write(tmp_path / "n.net", picture, {**conv, "stride": [0, 1]}))
    with pytest.raises(GraphError, match="layer 1 .conv.: 'bias' has 3 values, expected 1 or 4"):
        read_netx(write(tmp_path / "n.net", picture, {**conv, "bias": [1, 2, 3]}))


def test_complex_weights_are_refused(tmp_path):
    path = write(tmp_path / "n.net", dense(weight=None))
    with h5py.File(path, "a") as file:
        for part in ("real", "imag"):
            file[f"layer/0/weight/{part}"] = np.zeros((2, 3))
    with pytest.raises(GraphError, match="its weights are complex"):
        read_netx(path)


def test_odd_weights_that_loihi_cuts_are_said(tmp_path):
    path = write(tmp_path / "n.net", dense(weight=np.array([[-3, 0, 2], [200, 0, 0]])))
    with pytest.warns(GraphWarning, match="odd numbers and spans -3 to 200: Loihi cuts them"):
        read_netx(path)


def test_shapes_of_inputs(tmp_path):
    path = write(tmp_path / "n.net", dense())
    assert read_netx(path).nodes["input"].output_type["output"].tolist() == [3]
    with pytest.raises(InputError, match=r"\(4,\), and the file says \(3,\)"):
        read_netx(write(tmp_path / "i.net", {"type": "input", "shape": [3]}, dense()), (4,))
    kernel = {"type": "conv", "shape": [1, 2, 2], "weight": np.ones((1, 1, 1, 1)), "neuron": neuron(4096, 9, 9)}
    conv = write(tmp_path / "c.net", kernel)
    with pytest.raises(InputError, match="does not say the shape of its input"):
        read_netx(conv)
    assert type(read_netx(conv, (1, 2, 2)).nodes["layer0_synapse"]) is nir.Conv2d
    with pytest.raises(GraphError, match="A flatten layer belongs before it"):
        read_netx(write(tmp_path / "f.net", kernel, dense(inFeatures=4, weight=np.ones((2, 4)))), (1, 2, 2))


@pytest.mark.parametrize("content", [b"", b"\x89HDF\r\n\x1a\n" + bytes(600), b"text"])
def test_damaged_files_are_refused(tmp_path, content):
    path = tmp_path / "n.net"
    path.write_bytes(content)
    with pytest.raises(FileError):
        read_netx(path)


def test_the_command(tmp_path):
    path, out = write(tmp_path / "n.net", dense()), tmp_path / "g.nir"
    done = CliRunner().invoke(main, ["import", str(path), "-o", str(out)])
    assert done.exit_code == 0, done.output
    assert "5 nodes, 4 edges, 3 -> 2; in integers" in done.output
    assert nirbridge.read(out).nodes["layer0"].v_threshold.tolist() == [1280, 1280]
    with pytest.raises(FileError, match="file of lava-dl's netx: run 'nirbridge import' first"):
        nirbridge.read(path)
    with pytest.raises(FileError, match="holds no group 'layer'"):
        read_netx(out)
