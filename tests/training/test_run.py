"""Runs on little data: what they learn, and that they go on after an interruption as if there had been none."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.utils.data import TensorDataset

from nirbridge.errors import FileError, InputError
from nirbridge.neurons import LMHT, Barrier, MultiLevelIF, MultiLevelLIF
from nirbridge.neurons.base import SpikingNeuron
from training import CHECKPOINT, Configuration, Data, Precision, Run, load_checkpoint, processes, stages
from training.distributed import Processes

ALONE = Processes(0, 1, torch.device("cpu"))


def squares(count: int = 96, seed: int = 0, has_time: bool = False) -> Data:
    """Three classes of 8x8 images by where their light is, with noise."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 3, (count,), generator=generator)
    x = torch.rand(count, 1, 8, 8, generator=generator) * 0.3
    for index, label in enumerate(labels.tolist()):
        x[index, 0, 2 * label : 2 * label + 3, 2:6] += 0.7
    x = x[:, None].expand(-1, 2, -1, -1, -1) if has_time else x
    half = count * 2 // 3
    parts = TensorDataset(x[:half], labels[:half]), TensorDataset(x[half:], labels[half:])
    return Data(*parts, (1, 8, 8), 3, has_time)


BASE = Configuration(
    data={"name": "squares"},
    network={"name": "small-conv", "width": 4, "dropout": 0.2},
    neuron={"name": "m-lif", "lanes": 3, "learn_threshold": True, "learn_decay": True},
    steps=2,
    epochs=2,
    analog_epochs=2,
    batch=16,
    learning_rate=1e-2,
    analog_learning_rate=1e-2,
    levels=2,
)
SPARSE = {"name": "sparse-resnet18", "width": 2}
RECIPES = {
    "direct": replace(BASE, loss={"name": "tet", "mu": 0.01}),
    "hybrid": replace(BASE, recipe="hybrid", optimizer="adamw"),
    "lm-ht": replace(BASE, recipe="lm-ht", optimizer="sgd"),
    "qcfs-lm-ht": replace(BASE, recipe="qcfs-lm-ht"),
}


@pytest.mark.parametrize("name", RECIPES)
def test_interrupted_runs_end_in_the_same_bits(name, tmp_path):
    """After every single epoch, the stages' border included."""
    data, configuration = squares(), RECIPES[name]
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    straight.mkdir()
    broken.mkdir()
    expected = Run(configuration, data, ALONE, straight).train().state_dict()
    total = len(load_checkpoint(straight / CHECKPOINT, configuration.to_dict()).history)
    for done in range(1, total):
        Run(configuration, data, ALONE, broken).train(resume=done > 1, stop_after=done)
        torch.rand(done)  # an interruption leaves other random numbers behind
    found = Run(configuration, data, ALONE, broken).train(resume=True).state_dict()
    assert found.keys() == expected.keys()
    for key, tensor in expected.items():
        assert torch.equal(found[key], tensor), key
    histories = [load_checkpoint(folder / CHECKPOINT, configuration.to_dict()).history for folder in (straight, broken)]
    assert histories[0] == histories[1]
    assert [(e["stage"], e["epoch"]) for e in histories[0]][-1] == ("spiking", 2)


def test_a_run_learns_and_seeds_matter(tmp_path):
    entries: list[dict[str, object]] = []
    configuration = replace(RECIPES["direct"], epochs=8)
    network = Run(configuration, squares(), ALONE, tmp_path, report=entries.append).train()
    assert entries[-1]["loss"] < entries[0]["loss"]
    assert entries[-1]["test"] > 0.8
    assert not network.training
    other = Run(replace(configuration, seed=1, epochs=1), squares(), ALONE, tmp_path).train()
    assert not torch.equal(other.state_dict()["module.conv1.0.weight"], network.state_dict()["module.conv1.0.weight"])


def test_recipes_end_in_their_neurons(tmp_path):
    for name, kind in (("hybrid", MultiLevelLIF), ("qcfs-lm-ht", LMHT), ("lm-ht", LMHT)):
        network = Run(replace(RECIPES[name], epochs=1, analog_epochs=1), squares(), ALONE, tmp_path).train()
        assert sum(type(module) is kind for module in network.modules()) == 2


def test_frames_and_bfloat16(tmp_path):
    configuration = replace(RECIPES["direct"], precision="bfloat16", epochs=1)
    network = Run(configuration, squares(has_time=True), ALONE, tmp_path).train()
    assert all(torch.isfinite(p).all() and p.dtype == torch.float32 for p in network.parameters())


def test_nothing_is_learned_from_what_is_held_back(tmp_path):
    """The same network bit for bit, and the same shares as the test has of the same samples."""
    data, entries = squares(), []
    expected = Run(RECIPES["hybrid"], data, ALONE, tmp_path).train().state_dict()
    held = replace(data, validation=data.test)
    found = Run(RECIPES["hybrid"], held, ALONE, tmp_path, report=entries.append).train().state_dict()
    assert all(torch.equal(found[key], expected[key]) for key in expected)
    assert [entry["validation"] for entry in entries] == [entry["test"] for entry in entries]
    assert len(entries) == 4


def test_a_finished_run_is_not_trained_further(tmp_path):
    entries: list[dict[str, object]] = []
    expected = Run(RECIPES["direct"], squares(), ALONE, tmp_path).train().state_dict()
    found = Run(RECIPES["direct"], squares(), ALONE, tmp_path, report=entries.append).train(resume=True).state_dict()
    assert entries == []
    assert all(torch.equal(found[key], expected[key]) for key in expected)


def test_checkpoints_that_do_not_fit_are_one_line(tmp_path):
    configuration = replace(RECIPES["direct"], epochs=1)
    with pytest.raises(FileError, match="does not exist"):
        Run(configuration, squares(), ALONE, tmp_path).train(resume=True)
    Run(configuration, squares(), ALONE, tmp_path).train()
    with pytest.raises(InputError, match=r"run with steps=2, this one has 3") as error:
        Run(replace(configuration, steps=3), squares(), ALONE, tmp_path).train(resume=True)
    assert "\n" not in str(error.value)
    whole = (tmp_path / CHECKPOINT).read_bytes()
    for content in (b"", b"nonsense", whole[: len(whole) // 2]):
        (tmp_path / CHECKPOINT).write_bytes(content)
        with pytest.raises(FileError, match="damaged or not a checkpoint"):
            Run(configuration, squares(), ALONE, tmp_path).train(resume=True)
    torch.save({"weights": torch.ones(2)}, tmp_path / CHECKPOINT)
    with pytest.raises(FileError, match="is not a checkpoint of a training run"):
        Run(configuration, squares(), ALONE, tmp_path).train(resume=True)


@pytest.mark.parametrize(
    ("key", "value", "found"),
    [
        ("epoch", None, "its epoch is missing"),
        ("network", None, "its network is missing"),
        ("extra", 1, "holds 'extra', which no checkpoint has"),
        ("epoch", "1", "its epoch is no int"),
        ("epoch", -1, "its epoch is -1"),
        ("configuration", "[" * 100_000, "its configuration is no JSON"),
        ("configuration", "[]", "its configuration has no keys"),
        ("stage", "dreaming", "its stage is none of spiking"),
        ("network", {}, "its network lacks '"),
        ("network", {"x" * 1000: torch.ones(1)}, "and has an unknown 'xxx"),
        ("optimizer", {"state": {}, "param_groups": []}, "its optimizer does not fit (loaded state dict has"),
        ("schedule", {"step": 3}, "its schedule lacks 'T_max' and has an unknown 'step'"),
        ("scaler", {"scale": 1}, "its scaler has an unknown 'scale'"),
    ],
)
def test_missing_or_odd_entries_of_a_checkpoint_are_named(tmp_path, key, value, found):
    configuration = replace(RECIPES["direct"], epochs=2)
    Run(configuration, squares(), ALONE, tmp_path).train(stop_after=1)
    content = torch.load(tmp_path / CHECKPOINT, weights_only=True)
    if value is None:
        del content[key]
    else:
        content[key] = value
    torch.save(content, tmp_path / CHECKPOINT)
    with pytest.raises(FileError) as error:
        Run(configuration, squares(), ALONE, tmp_path).train(resume=True)
    assert str(error.value).startswith(f"checkpoint '{tmp_path / CHECKPOINT}': ")
    assert found in str(error.value)
    assert len(str(error.value)) < 400


def test_code_in_a_checkpoint_is_not_executed(tmp_path):
    class Harm:
        def __reduce__(self):
            return (print, ("executed",))

    torch.save({"format": Harm()}, tmp_path / CHECKPOINT)
    with pytest.raises(FileError, match="damaged or not a checkpoint"):
        load_checkpoint(tmp_path / CHECKPOINT, {})


def test_a_failed_write_leaves_the_last_checkpoint(tmp_path, monkeypatch):
    configuration = replace(RECIPES["direct"], epochs=1)
    Run(configuration, squares(), ALONE, tmp_path).train()
    before = (tmp_path / CHECKPOINT).read_bytes()

    def fail(content, file):
        file.write(b"half")
        raise RuntimeError("broken off")

    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(RuntimeError, match="broken off"):
        Run(configuration, squares(), ALONE, tmp_path).train()
    assert (tmp_path / CHECKPOINT).read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == [CHECKPOINT]


@pytest.mark.parametrize(
    ("changes", "has_time", "message"),
    [
        ({"recipe": "hybrid"}, True, "begins with an analog network"),
        ({"steps": 5}, True, "have 2 frames, the run takes 5"),
        ({"network": {"name": "nothing"}}, False, "unknown network 'nothing'"),
        ({"network": {"name": "small-conv", "depth": 1}}, False, "network 'small-conv'"),
        ({"neuron": {"name": "izhikevich"}}, False, "unknown neuron 'izhikevich'"),
        ({"neuron": {"name": "m-lif", "leak": 1}}, False, "neuron 'm-lif'"),
        ({"loss": {"name": "hinge"}}, False, "unknown loss 'hinge'"),
        ({"barrier": {"levels": 8}}, False, "network 'small-conv' has no barriers"),
        ({"barrier": {}, "network": SPARSE | {"block": "sew"}}, False, "'sparse-resnet18' has no barriers"),
        ({"barrier": {"depth": 8}, "network": SPARSE}, False, "barrier: .*depth.* Use levels, threshold and clipped"),
        ({"barrier": {"levels": 0}, "network": SPARSE}, False, "Barrier: levels"),
        ({"precision": "float16"}, False, "needs a GPU"),
        ({"loss": {"name": "tet", "mu": 1, "target": 1e30}}, False, "the loss became inf"),
    ],
)
def test_runs_that_cannot_be_are_one_line(tmp_path, changes, has_time, message):
    with pytest.raises(InputError, match=message) as error:
        Run(replace(BASE, **changes), squares(has_time=has_time), ALONE, tmp_path).train()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"neuron": {"name": "m-lif", "bogus": 1}},
        {"neuron": {"name": "bogus"}},
        {"neuron": {"name": "m-lif", "lanes": 0}},
        {"loss": {"name": "bogus"}},
        {"loss": {"name": "tet", "mu": 3}},
    ],
)
def test_bad_settings_of_the_second_stage_are_found_before_the_first_is_trained(tmp_path, changes):
    entries: list[dict[str, object]] = []
    run = Run(replace(RECIPES["hybrid"], **changes), squares(), ALONE, tmp_path, report=entries.append)
    with pytest.raises(InputError) as error:
        run.train()
    assert "\n" not in str(error.value)
    assert entries == []


@pytest.mark.parametrize("recipe", ["direct", "hybrid"])
@pytest.mark.parametrize(
    ("network", "kind", "levels"), [(SPARSE, MultiLevelIF, 4), ({"name": "small-conv", "width": 2}, MultiLevelLIF, 3)]
)
def test_a_network_keeps_its_own_neuron_unless_the_configuration_names_one(recipe, network, kind, levels):
    x = torch.rand(4, 1, 8, 8)
    trained = None
    for stage in stages(Configuration({}, network, recipe=recipe), (1, 8, 8), 3):
        trained = stage.begin(trained, x)
    found = [
        module for module in trained.modules() if isinstance(module, SpikingNeuron) and type(module) is not Barrier
    ]
    assert {(type(module), len(module.lane_threshold)) for module in found} == {(kind, levels)}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"neuron": {"name": "multi-level-if", "levels": 8, "threshold": 0.5}}, (8, 0.5, False)),
        ({"recipe": "hybrid", "neuron": {"name": "multi-level-if", "levels": 6}}, (6, 1.0, False)),
        ({"recipe": "lm-ht", "levels": 3}, (3, 2.0, False)),
        ({"recipe": "qcfs-lm-ht", "levels": 3}, (6, 8.0, False)),
        (
            {
                "neuron": {"name": "multi-level-if", "levels": 8},
                "barrier": {"levels": 2, "threshold": 3.0, "clipped": True},
            },
            (2, 3.0, True),
        ),
    ],
)
def test_barriers_are_as_the_configuration_says(changes, told):
    found = stages(replace(BASE, network=SPARSE, **changes), (1, 8, 8), 3)
    network = found[0].begin(None, torch.rand(4, 1, 8, 8))
    barriers = [module for module in network.modules() if type(module) is Barrier]
    assert len(barriers) == 8
    assert {(barrier.levels, barrier.threshold.item(), barrier.clipped) for barrier in barriers} == {told}


def test_devices():
    with processes("cpu") as place:
        assert (place.count, place.is_first, place.device.type) == (1, True, "cpu")
    for device, message in (("tpu9", "is unknown"), ("cuda:99", "is not there"), ("meta", "not supported")):
        with pytest.raises(InputError, match=message), processes(device):
            pass
    assert Precision("float32", "cpu").scaler().is_enabled() is False
